"""A catalogue file as columns of text, and errors that name its file, line and column."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.catalogue import CatalogueConfig, RareLabels, columns_named
from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.catalogue import CATEGORY, merge_labels, settle_roles
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.named_columns import (
    SLOT_COLUMN,
    header_hint,
    is_json_lines,
    is_parquet,
    label_columns,
    read_columns,
)
from visual_taxonomy.data.parquet_images import HELD_BACK
from visual_taxonomy.data.parquet_text import as_text, why_no_text
from visual_taxonomy.data.rare_labels import find_rare, fold_rare, rare_note
from visual_taxonomy.data.repeated_rows import first_filled, join_rows
from visual_taxonomy.errors import InputError, shown

DUMMY = "dummy_value"
"""What competition files hold in the columns beyond a category's attributes."""

_KEPT = ("id", "Category", "len", "split")
"""Columns that are there whatever columns hold the labels."""

_ROW = "\0row"  # no column of a file is called so


class LabelFile:
    """A file's columns, as text without outer white space; unknown values are "".

    `id`, `Category`, `len` and `attr_k` are found whatever the case of their letters. Lines
    without any value and columns without a name are left out.

    Args:
        path: CSV, Parquet (suffix .parquet or .parq) or JSON lines (.jsonl or .ndjson).
        reading: Which texts mean unknown, which column is what, and which to keep.
        trained: Which column was what in the training CSV of a model; see `settle_roles`.

    Warns:
        UserWarning: A column without a name, such as the index that pandas writes, holds values.

    Raises:
        InputError: The file is missing, not readable, not UTF-8, or without rows; two columns
            have one name; a column of `reading` is not there, or has two roles.
    """

    def __init__(
        self,
        path: Path,
        reading: LabelReading | None = None,
        trained: CatalogueConfig | None = None,
    ) -> None:
        reading = reading or LabelReading()
        self.path = path
        self._trained, self._missing_values = trained, reading.missing_values
        encoding = reading.csv_encoding or "utf-8"
        chosen = reading.attribute_columns
        images = [
            c for each in (reading, trained) if each for c in columns_named(each.image_column)
        ]
        columns, self._first_line, self.notes, self.delimiter = read_columns(
            path, encoding, chosen or (), images
        )
        self.roles = settle_roles(path, list(columns), reading, trained)
        raw, self._no_text = as_text(columns)
        kept = set(columns)
        if chosen is not None:
            named = label_columns(path, list(columns), chosen, self.roles.taken)
            kept = {*_KEPT, *self.roles.taken, *named}
            # A column that is not asked for need not be text.
            self._no_text = {name: each for name, each in self._no_text.items() if name in kept}
        stripped = raw.select(pl.col(raw.columns).fill_null("").str.strip_chars())
        # Of the columns that are kept: a line without any of these is no product, whatever else it
        # has.
        values = [pl.col(name) != "" for name in raw.columns if name in kept]
        has_value = stripped.select(pl.any_horizontal(values)).to_series()
        if not has_value.any():
            raise InputError(f"{path}: the file has no rows; it needs a row for each product")
        # Before lines without a value go, so that messages count them.
        raw = raw.with_row_index(_ROW)
        if not has_value.all():
            raw, stripped = raw.filter(has_value), stripped.filter(has_value)
        # `_raw` with all columns and white space: `line` counts the line ends inside values.
        self._raw, self._stripped = raw, stripped.select(n for n in raw.columns if n in kept)
        cells = _without_markers(self._stripped, reading.missing_values)
        self.images = {name: self._image_cells(cells, name) for name in self.roles.image_columns}
        """Image column -> [R] paths (or lists of them) of the rows with a value; None for a column
        that holds the images. Empty if images are named by id."""
        self.rare_labels = RareLabels()
        """What `min_rows` comes to here, or came to in the training CSV."""
        self._join_rows(self.roles.applied(self._merged(cells, reading)))
        # Of products, so that one of five images does not count as five.
        self._fold_rare(reading)
        self.texts = [self._texts(cells, name) for name in self.roles.text_columns]
        """[X] columns of words; empty cells for one that the file does not have."""

    def _join_rows(self, frame: pl.DataFrame) -> None:
        """Make one row of all rows of a product, where these may have an image each."""
        self.frame, count = frame, len(frame)
        self.product_of = self._firsts = np.arange(count)
        """[R] row of `frame` that each row with a value belongs to."""
        self._conflicts: dict[str, tuple[int, int]] = {}
        ids = frame["id"] if self.images and "id" in frame.columns else None
        if ids is not None and ids.n_unique() < count:
            self.frame, self.product_of, self._firsts, self._conflicts = join_rows(frame, ids)
            self._all_cells, self._stripped = frame, self._stripped[self._firsts]
            self.notes.append(
                f"note: {self.path}: {count:,} rows of {len(self.frame):,} products; rows of one "
                "id are images of one product"
            )

    def check_agreement(self, columns: Iterable[str]) -> None:
        """Refuse rows of one product that say different things.

        Args:
            columns: Those that count; the others may say of each row what they like.

        Raises:
            InputError: Two rows do.
        """
        for name in columns:
            if name in self._conflicts:
                row, first = self._conflicts[name]
                value, other = (shown(self._all_cells[name][each]) for each in (row, first))
                product = shown(self._all_cells["id"][row])
                raise InputError(
                    f"{self.path}, row {self._line(row)}, column "
                    f"'{shown(' '.join(self.roles.sources(name)))}': '{value}', but row "
                    f"{self._line(first)} of the same product '{product}' says '{other}'; correct "
                    "one of them or empty it, or give the rows ids of their own"
                )

    def _image_cells(self, cells: pl.DataFrame, name: str) -> pl.Series | None:
        if name not in self._no_text:
            return cells[name]
        column = self._no_text[name]
        if column.dtype == pl.List(pl.String):
            return column.gather(self.source_rows)
        if column.dtype != HELD_BACK:
            raise InputError(f"{self.path}, {why_no_text(name, column)}")
        return None

    @property
    def image_candidates(self) -> list[str]:
        """Columns that hold images and were not named."""
        held = [name for name, each in self._no_text.items() if each.dtype == HELD_BACK]
        return [name for name in held if name not in self.roles.image_columns]

    @property
    def source_rows(self) -> np.ndarray:
        """[R] number of each row with a value in the file, from 0."""
        return self._raw[_ROW].to_numpy().astype(np.int64)

    def _texts(self, cells: pl.DataFrame, name: str) -> pl.Series:
        if name in self._no_text:
            raise InputError(f"{self.path}, {why_no_text(name, self._no_text[name])}")
        if not name:
            return pl.Series("", [""]).new_from_index(0, len(self))
        return cells[name].gather(first_filled(cells[name], self.product_of, self._firsts))

    def _merged(self, cells: pl.DataFrame, reading: LabelReading) -> pl.DataFrame:
        remembered = self._trained.merged_labels if self._trained else None
        # A model that was trained on merged labels has no other classes, so its merges go on unless
        # others are given.
        merged = reading.merged_labels or remembered or {}
        found = {name: classes for name, classes in merged.items() if name in cells.columns}
        return cells.with_columns(merge_labels(cells[n], each) for n, each in found.items())

    def _fold_rare(self, reading: LabelReading) -> None:
        """Read the labels of too few rows as what they are to be."""
        settled = reading.rare_labels
        if settled is None and self._trained is not None:
            # Of a model, whose classes are those of its training CSV: this file counts nothing.
            settled = self._trained.rare_labels or {}
        if settled is None and reading.min_rows is not None and CATEGORY in self.columns:
            columns = self._counted(self.frame, reading)
            least, name = reading.min_rows, reading.rare_class
            settled = find_rare(self.frame, columns, least, name, holes=("", DUMMY))
        self.rare_labels = settled or {}
        if settled and CATEGORY in self.columns:
            self.frame, cells = fold_rare(self.frame, settled)
            self.notes += [rare_note(self.path, cells)] if cells else []

    def _counted(self, frame: pl.DataFrame, reading: LabelReading) -> list[str]:
        """The columns in which rare labels are looked for."""
        if reading.attribute_columns is not None:
            return [name for name in frame.columns if name not in _KEPT]
        columns = [name for name in frame.columns if SLOT_COLUMN.fullmatch(name)]
        if not columns:
            raise InputError(
                f"{self.path}: `min_rows` needs `attribute_columns`, the columns that hold labels: "
                "in a column of titles every text is rare"
            )
        return columns

    def __len__(self) -> int:
        """N, the number of products."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Column names in the order of the file."""
        return self.frame.columns

    @property
    def source_cells(self) -> pl.DataFrame:
        """The columns under the names they have in the file, whatever their roles."""
        return _without_markers(self._stripped, self._missing_values)

    @property
    def slot_columns(self) -> list[int]:
        """The k of the columns attr_k, in rising order."""
        matches = map(SLOT_COLUMN.fullmatch, self.columns)
        return sorted(int(match[1]) for match in matches if match)

    @property
    def unread(self) -> list[str]:
        """Why each of the columns that hold no text is not among `columns`."""
        return [why_no_text(name, column) for name, column in self._no_text.items()]

    def column(self, name: str) -> pl.Series:
        """The text of one column.

        Raises:
            InputError: There is no such column, or it holds no text.
        """
        for source in self.roles.sources(name):
            if source in self._no_text:
                raise InputError(f"{self.path}, {why_no_text(source, self._no_text[source])}")
        if name not in self.columns:
            raise InputError(
                f"{self.path}: column {unknown_name(name, self.columns)} Add the column, or rename "
                f"the one that holds it{self._how_to_name(name)}{header_hint(self.columns)}"
            )
        return self.frame[name]

    def _how_to_name(self, name: str) -> str:
        flag = {"id": "id_column", CATEGORY: "category_column"}.get(name)
        if flag is None:
            return ""
        trained = getattr(self._trained, flag, None)
        had = f"; the training CSV had it in {shown(trained)}" if trained else ""
        return f", or say which one it is (`{flag}`; `vtax inspect` guesses it){had}"

    def markers(self, columns: Sequence[str]) -> dict[str, int]:
        """Text that means unknown -> how many cells of `columns` hold it; empty cells apart."""
        counts: dict[str, int] = {}
        for name in columns:
            stripped = self._stripped[name]
            # Not whatever became empty: a rare label does, too.
            is_marker = stripped.is_in(self._missing_values) & (stripped != "")
            marked = stripped.filter((self.frame[name] == "") & is_marker)
            for text, count in marked.value_counts().iter_rows():
                counts[text] = counts.get(text, 0) + count
        return counts

    def error(self, rows: np.ndarray, column: str, problem: str) -> InputError:
        """The error for a column that is wrong in `rows` (the first is named, all are counted).

        Args:
            rows: [W] rows of `frame`, rising.
            column: The column's name.
            problem: The value of the first of the rows, what was expected, and the remedy.
        """
        more = len(rows) - 1
        count = f" ({more:,} more row{'s are' if more > 1 else ' is'} wrong)" if more else ""
        line = self.line(int(rows[0]))
        name = shown(" ".join(self.roles.sources(column)))
        return InputError(f"{self.path}, row {line}, column '{name}': {problem}{count}")

    def empty(self, rows: np.ndarray, column: str, remedy: str) -> InputError:
        """The error for cells that must hold a value and hold none, or a text that means none."""
        row = int(rows[0])
        # Of columns that are joined, the first without a value.
        sources = self.roles.sources(column)
        cells = _without_markers(self._stripped.select(sources), self._missing_values)
        column = next((name for name in sources if cells[name][row] == ""), column)
        text = self._stripped[column][row]
        marker = f"'{shown(text)}' means unknown (see `missing_values`)" if text else "is empty"
        return self.error(rows, column, f"{marker}; {remedy}")

    def line(self, row: int) -> int:
        """The 1-based line of the file in which a row starts; the 1-based row of a Parquet file."""
        return self._line(int(self._firsts[row]))

    def _line(self, row: int) -> int:
        index = int(self._raw[_ROW][row]) + self._first_line
        if is_parquet(self.path) or is_json_lines(self.path):
            return index
        breaks = pl.exclude(_ROW).str.count_matches("\n").sum()  # labels may hold line ends
        return index + int(self._raw.head(row).select(breaks).sum_horizontal()[0])


def _without_markers(cells: pl.DataFrame, missing_values: Sequence[str]) -> pl.DataFrame:
    """The cells, "" for those that hold a text that means unknown."""
    markers = [value for value in missing_values if value]
    return cells.select(
        pl.when(pl.col(name).is_in(markers)).then(pl.lit("")).otherwise(pl.col(name)).alias(name)
        for name in cells.columns
    )
