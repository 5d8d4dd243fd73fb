"""What a catalogue holds, seen before anything runs: roles of its columns, labels, holes, images.

Shapes: N rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import polars as pl
import tomli_w

from visual_taxonomy.catalogue import ONE_CATEGORY, CatalogueFile
from visual_taxonomy.config_values import to_dict
from visual_taxonomy.data.catalogue import CATEGORY, ID
from visual_taxonomy.data.category_column import check_are_categories
from visual_taxonomy.data.example_rows import ExampleRow, example_rows
from visual_taxonomy.data.image_counts import ImageSummary, count_images
from visual_taxonomy.data.label_candidates import why_no_attribute
from visual_taxonomy.data.label_file import DUMMY, LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.named_columns import is_json_lines, is_parquet
from visual_taxonomy.data.near_synonyms import near_synonyms
from visual_taxonomy.data.product_ids import read_ids
from visual_taxonomy.data.role_guess import guess_roles
from visual_taxonomy.errors import shown
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.regular_file import reading as opening

RARE_ROWS = 5
"""A class of fewer rows has none in one of five folds, or none to train on."""


@dataclass(frozen=True)
class AttributeSummary:
    """What a column of labels holds.

    Args:
        column: Its name.
        classes: Label -> rows, the most frequent first.
        holes: Rows without a label.
        synonyms: As `near_synonyms` gives them.
    """

    column: str
    classes: Mapping[str, int]
    holes: int
    synonyms: list[tuple[str, tuple[str, ...]]]

    @property
    def rare(self) -> list[str]:
        """The classes of fewer rows than `RARE_ROWS`."""
        return [label for label, rows in self.classes.items() if rows < RARE_ROWS]


@dataclass(frozen=True)
class Inspection:
    """What a catalogue holds.

    Args:
        path: The file.
        reading: The roles of its columns, guessed where they were not given.
        rows: N.
        categories: Name -> rows, the most frequent first.
        attributes: The columns of labels.
        left_out: Column -> why it has no role.
        images: None without a folder to look in, unless the file holds them.
        notes: What a person should know of how the file was read.
        examples: A few products of each category, with their images.
    """

    path: Path
    reading: LabelReading
    rows: int
    categories: Mapping[str, int]
    attributes: list[AttributeSummary]
    left_out: Mapping[str, str]
    images: ImageSummary | None = None
    notes: list[str] = field(default_factory=list)
    examples: list[ExampleRow] = field(default_factory=list)

    def to_toml(self) -> str:
        """The text of a file for `catalogue`, with what was left out as comments."""
        names = [entry.name for entry in fields(CatalogueFile)]
        said = CatalogueFile(**{name: getattr(self.reading, name) for name in names})
        lines = [f"# Which column of {shown(self.path.name)} is what; edit it by hand."]
        lines += self._rare_lines()
        lines.append(tomli_w.dumps(to_dict(said)).strip())
        if self.left_out:
            lines += ["", "# No attributes; to learn one all the same, add it to the list above:"]
            lines += [f"#   {shown(name)}: {why}" for name, why in self.left_out.items()]
        for each in self.attributes:
            if each.synonyms and each.column not in (self.reading.merged_labels or {}):
                groups = {first: list(others) for first, others in each.synonyms}
                table = tomli_w.dumps({"merged_labels": {each.column: groups}}).strip()
                lines += ["", "# These may mean the same; without the # they are one class:"]
                lines += [f"# {line}" for line in table.splitlines()]
        return "\n".join(lines) + "\n"

    def _rare_lines(self) -> list[str]:
        """How to leave out rare classes; ahead of all tables, where keys of the file stand."""
        count = sum(len(each.rare) for each in self.attributes)
        if not count or self.reading.min_rows is not None:
            return []
        return [
            f"# {count:,} classes have fewer than {RARE_ROWS} rows. Without the #, those of fewer "
            "rows of a category are unknown,",
            f"# min_rows = {RARE_ROWS}",
            "# or, without this # too, one class:",
            '# rare_class = "other"',
            "",
        ]


def inspect_catalogue(
    path: Path,
    given: LabelReading,
    img_dir: Path | None = None,
    whole_check: bool = False,
    reporter: Reporter = SILENT,
) -> Inspection:
    """Read a catalogue, guess what no flag says, and count.

    Args:
        path: CSV, Parquet or JSON lines.
        given: What flags say of its columns; the rest is guessed.
        img_dir: The folder of the images; None where the file holds them.
        whole_check: Decode every image, as `check_images` does.
        reporter: Shows how far the images are.

    Raises:
        InputError: The file cannot be read, a column that is given does not exist, or ids or
            categories are not what they must be.
    """
    given, notes = _with_encoding(path, given)
    # Without the attributes that flags name, which would leave only these columns to guess from,
    # and without what is read otherwise in them.
    given, guessed = _with_roles(LabelFile(path, _with_all_columns(given)), given)
    file = LabelFile(path, _with_all_columns(given))
    read_ids(file)
    categories = _counts(file.column(CATEGORY))
    check_are_categories(file, file.column(CATEGORY), len(categories))
    columns, left_out = _attributes(file, given)
    is_numbered = bool(file.slot_columns) and given.attribute_columns is None
    reading = given if is_numbered else replace(given, attribute_columns=tuple(columns))
    if given.min_rows is not None:
        # Only now is it known in which columns labels count.
        file = LabelFile(path, reading)
    images = None
    if img_dir is not None or any(paths is None for paths in file.images.values()):
        images = count_images(file, img_dir, whole_check, reporter)
    return Inspection(
        path,
        reading,
        len(file),
        categories,
        [_summary(file, name) for name in columns],
        left_out,
        images,
        [*file.notes, *notes, *guessed, *_image_notes(path, images)],
        [] if images is None else example_rows(file, images.names, columns),
    )


def _with_all_columns(given: LabelReading) -> LabelReading:
    return replace(given, attribute_columns=None, min_rows=None, rare_class=None)


def _with_encoding(path: Path, given: LabelReading) -> tuple[LabelReading, list[str]]:
    if given.csv_encoding is not None or is_parquet(path) or is_json_lines(path):
        return given, []
    with opening(path, "the path"):
        content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        # A zero byte means UTF-16, which would be garbage in latin-1; reading the file says so.
        if b"\0" not in content:
            line = content.count(b"\n", 0, error.start) + 1
            note = f"note: {path}, row {line}: not UTF-8; read as latin-1: look at its accents"
            return replace(given, csv_encoding="latin-1"), [note]
    return given, []


def _with_roles(file: LabelFile, given: LabelReading) -> tuple[LabelReading, list[str]]:
    """The reading with guesses where it says nothing, and what a person should know of them."""
    frame = file.source_cells
    guess = guess_roles(frame.drop(given.attribute_columns or (), strict=False))
    notes = []
    if given.id_column is None and guess.id_column not in (None, ID):
        given = replace(given, id_column=guess.id_column)
    if given.category_column is None and given.category_name is None:
        if not guess.category_column:
            given = replace(given, category_name=ONE_CATEGORY)
            notes.append(
                f"note: {file.path}: no column seems to hold categories{_too_many(frame)}, so all "
                "rows are of one; "
                "name it (`category_name`), or the column (`category_column`)"
            )
        elif guess.category_column != (CATEGORY,):
            given = replace(given, category_column=guess.category_column)
    has_images = given.image_column is not None or given.image_pattern is not None
    # A column of images is one; one of names may be that of their files on another machine.
    image = next(iter(file.image_candidates), guess.image_column)
    if not has_images and image is not None:
        given = replace(given, image_column=image)
    if given.text_columns is None and guess.text_columns:
        given = replace(given, text_columns=guess.text_columns)
    return given, notes


def _too_many(frame: pl.DataFrame) -> str:
    """Why the column that is called so holds none."""
    if CATEGORY not in frame.columns or (frame[CATEGORY] == "").any():
        return ""
    return f" ('{CATEGORY}' has {frame[CATEGORY].n_unique():,} values in {len(frame):,} rows)"


def _attributes(file: LabelFile, given: LabelReading) -> tuple[list[str], dict[str, str]]:
    """The columns of labels, and why each of the others is none."""
    names = [name for name in file.columns if name not in (ID, CATEGORY, "len", "split")]
    if given.attribute_columns is not None:
        chosen = LabelFile(file.path, given).columns
        return [name for name in names if name in chosen], {}
    if file.slot_columns:
        return [f"attr_{k}" for k in file.slot_columns], {}
    reasons = {name: why_no_attribute(file.column(name), file.column(CATEGORY)) for name in names}
    empty = [name for name in names if (file.column(name) == "").all()]
    left_out = {name: why for name, why in reasons.items() if why}
    left_out |= dict.fromkeys(empty, "no value")
    # The reasons are those of `why_no_text`, which put the name of the column in quotes.
    unread = {reason.partition("'")[2].partition("'")[0]: reason for reason in file.unread}
    left_out |= {name: why for name, why in unread.items() if name not in file.roles.taken}
    return [name for name in names if name not in left_out], left_out


def _summary(file: LabelFile, column: str) -> AttributeSummary:
    counts = _counts(file.column(column))
    return AttributeSummary(column, counts, len(file) - sum(counts.values()), near_synonyms(counts))


def _counts(cells: pl.Series) -> dict[str, int]:
    kept = cells.filter((cells != "") & (cells != DUMMY))
    counts = dict(kept.value_counts().iter_rows())
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _image_notes(path: Path, images: ImageSummary | None) -> list[str]:
    """What a person should do something about before training."""
    if images is None or images.problem:
        return []
    notes = []
    rows, found = images.rows, sum(name is not None for name in images.names)
    if 3 * found < rows:
        notes.append(
            f"note: {path}: {found:,} of {rows:,} rows have an image, fewer than a third; "
            "check `img_dir` and the column of the images, or train on the rows that have one"
        )
    shared = images.check.shared
    if shared:
        first, more = shared[0], len(shared) - 1
        files = f" ({first.files:,} files with the same bytes)" if first.files > 1 else ""
        others = f", and {more:,} more image{'s' * (more > 1)} of many" if more else ""
        notes.append(
            f"note: {path}: '{shown(first.name)}'{files} is the image of {first.products:,} of "
            f"{images.check.rows:,} products{others}; if it is a placeholder, it teaches nothing: "
            "remove these rows"
        )
    return notes
