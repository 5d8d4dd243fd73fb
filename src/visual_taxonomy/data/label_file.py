"""A CSV or Parquet file as columns of text, and errors that name its file, line and column."""

import re
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.errors import InputError

DUMMY = "dummy_value"
"""What competition files hold in the columns beyond a category's attributes."""

_PLAIN_NAMES = {"id": "id", "category": "Category", "len": "len", "split": "split"}
_SLOT_COLUMN = re.compile(r"attr_([1-9]\d*)")
_ROW = "\0row"  # no column of a file is called so


class LabelFile:
    """A file's columns, as text without outer white space; empty, NaN and null are "".

    `id`, `Category`, `len` and `attr_k` are found whatever the case of their letters. Lines
    without any value are left out.

    Args:
        path: A CSV file in UTF-8, or a Parquet file (suffix .parquet or .parq).

    Raises:
        InputError: The file is missing, not readable, not UTF-8, or without rows; two columns
            have one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        raw = _read_columns(path)
        text = pl.exclude(_ROW)
        self._raw = (
            raw.select(pl.all().cast(pl.String, strict=False))
            .with_row_index(_ROW)
            .filter(pl.any_horizontal(text.is_not_null()))
        )
        if self._raw.is_empty():
            raise InputError(f"{path}: the file has no rows; it needs a line for each product")
        stripped = text.fill_null("").str.strip_chars()
        self.frame = self._raw.select(stripped.str.replace("(?i)^(nan|null)$", ""))

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
        matches = map(_SLOT_COLUMN.fullmatch, self.columns)
        return sorted(int(match[1]) for match in matches if match)

    def column(self, name: str) -> pl.Series:
        """The text of one column.

        Raises:
            InputError: There is no such column.
        """
        if name not in self.columns:
            raise InputError(
                f"{self.path}: column {unknown_name(name, self.columns)} Add the column, or rename "
                "the one that holds it"
            )
        return self.frame[name]

    def error(self, rows: np.ndarray, column: str, problem: str) -> InputError:
        """The error for a column that is wrong in `rows` (the first is named, all are counted).

        Args:
            rows: [W] rows of `frame`, rising.
            column: The column's name.
            problem: The value of the first of the rows, what was expected, and the remedy.
        """
        more = len(rows) - 1
        count = f" ({more:,} more row{'s are' if more > 1 else ' is'} wrong)" if more else ""
        return InputError(
            f"{self.path}, row {self.line(int(rows[0]))}, column '{column}': {problem}{count}"
        )

    def line(self, row: int) -> int:
        """The 1-based line of the CSV in which a row starts; the 1-based row of a Parquet file."""
        index = int(self._raw[_ROW][row])
        if _is_parquet(self.path):
            return index + 1
        breaks = pl.exclude(_ROW).str.count_matches("\n").sum()  # labels may hold line ends
        return index + 2 + int(self._raw.head(row).select(breaks).sum_horizontal()[0])


def is_slot_column(name: str) -> bool:
    """Whether a column is one of attr_1, attr_2, ...

    Example:
        >>> is_slot_column("attr_12"), is_slot_column("color")
        (True, False)
    """
    return _SLOT_COLUMN.fullmatch(name) is not None


def _plain(name: str) -> str:
    """The name a column has here: without outer space, and of id, Category, attr_k in one case."""
    name = name.strip()
    folded = name.casefold()
    return folded if _SLOT_COLUMN.fullmatch(folded) else _PLAIN_NAMES.get(folded, name)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".parq", ".pq")


def _read_columns(path: Path) -> pl.DataFrame:
    try:
        frame = read_parquet(path) if _is_parquet(path) else _read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name the file in it") from None
    # polars tells equal names apart by this ending
    names = [_plain(re.sub(r"_duplicated_\d+$", "", name)) for name in frame.columns]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"{path}: column '{doubled}' is there twice; rename or remove one")
    frame.columns = names
    return frame.select(column for column in frame if not column.dtype.is_nested())


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a Parquet file.

    Raises:
        InputError: The file is not Parquet.
        FileNotFoundError: There is no such file.
    """
    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: not a Parquet file ({_first_line(error)})") from None


def _read_csv(path: Path) -> pl.DataFrame:
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        value = content[error.start : error.start + 1]
        raise InputError(
            f"{path}, row {line}: unreadable encoding (byte 0x{value.hex()} is not UTF-8); "
            "save the file as 'CSV UTF-8'"
        ) from None
    try:
        return pl.read_csv(content, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise InputError(
            f"{path}: the file is empty; it needs a header and a row a product"
        ) from None
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{path}: not a readable CSV ({_first_line(error)}); look for a row with more values "
            "than the header has columns, or a quote that is not closed"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
