"""A CSV or Parquet file as columns of text, and errors that name its file, line and column."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.named_columns import SLOT_COLUMN, header_hint, is_parquet, read_columns
from visual_taxonomy.data.parquet_text import as_text, why_no_text
from visual_taxonomy.errors import InputError, shown

DUMMY = "dummy_value"
"""What competition files hold in the columns beyond a category's attributes."""

_ROW = "\0row"  # no column of a file is called so


class LabelFile:
    """A file's columns, as text without outer white space; unknown values are "".

    `id`, `Category`, `len` and `attr_k` are found whatever the case of their letters. Lines
    without any value and columns without a name are left out.

    Args:
        path: A CSV file in UTF-8, or a Parquet file (suffix .parquet or .parq).
        reading: Which texts mean unknown, and which columns to keep.

    Warns:
        UserWarning: A column without a name, such as the index that pandas writes, holds values.

    Raises:
        InputError: The file is missing, not readable, not UTF-8, or without rows; two columns
            have one name; a column of `reading` is not there.
    """

    def __init__(self, path: Path, reading: LabelReading | None = None) -> None:
        reading = reading or LabelReading()
        self.path = path
        columns, self._first_line = read_columns(path, reading.attribute_columns)
        raw, self._no_text = as_text(columns)
        stripped = raw.select(pl.all().fill_null("").str.strip_chars())
        has_value = stripped.select(pl.any_horizontal(pl.all() != "")).to_series()
        if not has_value.any():
            raise InputError(f"{path}: the file has no rows; it needs a row for each product")
        raw = raw.with_row_index(_ROW)
        if not has_value.all():
            raw, stripped = raw.filter(has_value), stripped.filter(has_value)
        self._raw, self._stripped = raw, stripped
        markers = [value for value in reading.missing_values if value]
        self.frame = stripped.select(
            pl.when(pl.col(name).is_in(markers))
            .then(pl.lit(""))
            .otherwise(pl.col(name))
            .alias(name)
            for name in stripped.columns
        )

    def __len__(self) -> int:
        """Number of rows with a value."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Column names in the order of the file."""
        return self.frame.columns

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
        if name in self._no_text:
            raise InputError(f"{self.path}, {why_no_text(name, self._no_text[name])}")
        if name not in self.columns:
            raise InputError(
                f"{self.path}: column {unknown_name(name, self.columns)} Add the column, or rename "
                f"the one that holds it{header_hint(self.columns)}"
            )
        return self.frame[name]

    def markers(self, columns: Sequence[str]) -> dict[str, int]:
        """Text that means unknown -> how many cells of `columns` hold it; empty cells apart."""
        counts: dict[str, int] = {}
        for name in columns:
            stripped = self._stripped[name]
            marked = stripped.filter((self.frame[name] == "") & (stripped != ""))
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
        return InputError(f"{self.path}, row {line}, column '{shown(column)}': {problem}{count}")

    def empty(self, rows: np.ndarray, column: str, remedy: str) -> InputError:
        """The error for cells that must hold a value and hold none, or a text that means none."""
        text = self._stripped[column][int(rows[0])]
        marker = f"'{shown(text)}' means unknown (see `missing_values`)" if text else "is empty"
        return self.error(rows, column, f"{marker}; {remedy}")

    def line(self, row: int) -> int:
        """The 1-based line of the CSV in which a row starts; the 1-based row of a Parquet file."""
        index = int(self._raw[_ROW][row]) + self._first_line
        if is_parquet(self.path):
            return index
        breaks = pl.exclude(_ROW).str.count_matches("\n").sum()  # labels may hold line ends
        return index + int(self._raw.head(row).select(breaks).sum_horizontal()[0])
