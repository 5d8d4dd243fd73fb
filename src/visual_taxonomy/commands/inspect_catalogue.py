"""`vtax inspect`: what a catalogue holds, before anything runs.

The guess is written into a file that other commands take as `--catalogue FILE`; what flags say is
not guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.table import Table

from visual_taxonomy.catalogue import columns_named
from visual_taxonomy.commands.arguments import as_flags
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.terminal import console, errors, terminal
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError, shown

if TYPE_CHECKING:
    from visual_taxonomy.data.image_counts import ImageSummary
    from visual_taxonomy.data.inspection import Inspection

# Of a long list the first few; all are in the file itself.
_MOST_NAMED = 6

_BY_ID = "image: named by the id"


@dataclass(frozen=True)
class Inspect:
    """Show what a catalogue holds, and guess which column is what."""

    csv: tyro.conf.Positional[Path | None] = None
    """CSV, Parquet or JSON lines."""
    csv_path: Path | None = None
    """The same as a flag, as in train and predict."""
    img_dir: Path | None = None
    """Folder of the images, to count those that are there and find broken ones; images in a
    column of a Parquet file need none."""
    all_images: bool = False
    """Open and decode every image.
    Without it, the headers of 50,000 are read, and 200 are decoded beside those without an end."""
    report: Path | None = None
    """HTML page to write: classes with counts, broken images, examples of each category."""
    out: Path = Path("catalogue.toml")
    """TOML file to write, for --catalogue of the other commands."""
    overwrite: bool = False
    """Replace an existing file that differs."""
    labels: LabelReading = field(default_factory=LabelReading)

    @property
    def path(self) -> Path:
        """The catalogue, from either argument."""
        path = self.csv or self.csv_path
        assert path is not None
        return path

    def __post_init__(self) -> None:
        if (self.csv is None) == (self.csv_path is None):
            raise InputError("give one catalogue: `vtax inspect FILE`, or --csv_path FILE")
        if self.report is not None and self.report.absolute() == self.out.absolute():
            raise InputError(f"--out and --report both name {self.out}; name two files")


def inspect(options: Inspect) -> int:
    """Show what a catalogue holds, and guess which column is what."""
    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.inspection import inspect_catalogue

    check_output("--out", options.out, [options.path], overwrite=True)
    _check_report(options)
    found = inspect_catalogue(
        options.path, options.labels, options.img_dir, options.all_images, terminal
    )
    for note in found.notes:
        terminal.note(note)
    _show(found)
    text = found.to_toml()
    if not (options.out.is_file() and options.out.read_bytes() == text.encode()):
        check_output("--out", options.out, [options.path], options.overwrite)
        write_text(options.out, text)
    if options.report is not None:
        from visual_taxonomy.reporting.html.catalogue_page import write_catalogue_page

        write_catalogue_page(found, options.img_dir, options.report)
        console.print(f"page: {options.report}")
    console.print(f"use it: --catalogue {options.out}")
    return 0


def _check_report(options: Inspect) -> None:
    """Refuse to write the page over anything but such a page."""
    if options.report is not None:
        from visual_taxonomy.reporting.html.report import is_report

        replaceable = options.overwrite or is_report(options.report)
        check_output("--report", options.report, [options.path, options.out], replaceable)


def _show(found: "Inspection") -> None:
    console.print(f"{found.path}: {found.rows:,} rows")
    console.print(_roles(found))
    console.print(f"{len(found.categories):,} categories: {_named(found.categories)}")
    console.print(_attributes(found))
    for each in found.attributes:
        for first, others in each.synonyms:
            same = ", ".join(shown(label) for label in (first, *others))
            console.print(f"{shown(each.column)}: may mean the same: {same}")
    _show_images(found.images, found.rows)


def _show_images(images: "ImageSummary | None", total: int) -> None:
    if images is None:
        console.print("images: not looked for (give --img_dir)")
        return
    if images.problem:
        errors.print(f"images: {as_flags(images.problem)}")
        return
    first = f", first '{shown(images.first_missing)}'" if images.missing else ""
    rows = f" (of {images.rows:,} rows)" if images.rows < total else ""
    console.print(f"images: {images.found:,} found, {images.missing:,} missing{first}{rows}")
    check = images.check
    console.print(
        f"images: {len(check.broken):,} broken ({check.files:,} files opened, {check.decoded:,} "
        "decoded)"
    )
    for name, reason in list(check.broken.items())[:_MOST_NAMED]:
        console.print(f"  {shown(name)}: {reason}")
    if len(check.broken) > _MOST_NAMED:
        console.print(f"  and {len(check.broken) - _MOST_NAMED:,} more; --report lists them")


def _roles(found: "Inspection") -> Table:
    reading = found.reading
    table = Table(title="columns", title_justify="left")
    table.add_column("column")
    table.add_column("role")
    table.add_row(reading.id_column or "id", "id")
    if reading.category_name is not None:
        table.add_row("(none)", f"category: all rows are {reading.category_name}")
    for name in reading.category_column or (() if reading.category_name else ("Category",)):
        table.add_row(name, "category")
    for name in columns_named(reading.image_column):
        table.add_row(name, "image")
    if not reading.image_column:
        table.add_row("(none)", _BY_ID)
    for name in reading.text_columns or ():
        table.add_row(name, "text")
    for each in found.attributes:
        table.add_row(shown(each.column), "attribute")
    for name, why in found.left_out.items():
        table.add_row(shown(name), f"left out: {why}")
    return table


def _attributes(found: "Inspection") -> Table:
    table = Table(title="attributes", title_justify="left")
    table.add_column("attribute")
    for name in ("classes", "holes", "rare"):
        table.add_column(name, justify="right")
    table.add_column("most frequent")
    for each in found.attributes:
        holes = f"{each.holes:,} ({each.holes / found.rows:.0%})"
        counts = _named(each.classes)
        table.add_row(
            shown(each.column), str(len(each.classes)), holes, str(len(each.rare)), counts
        )
    return table


def _named(counts: Mapping[str, int]) -> str:
    names = [f"{shown(name)} {count:,}" for name, count in list(counts.items())[:_MOST_NAMED]]
    more = len(counts) - _MOST_NAMED
    return ", ".join(names) + (f", and {more:,} more" if more > 0 else "")
