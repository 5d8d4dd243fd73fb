"""Which columns of a file are read, and under which names."""

import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from visual_taxonomy.catalogue import Encoding
from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.csv_text import DELIMITERS, read_csv_text
from visual_taxonomy.data.json_lines import read_json_lines
from visual_taxonomy.data.parquet_text import read_parquet
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.regular_file import reading

MAX_SLOTS = 9999
"""The largest k of a column attr_k: whoever counts up to k must come to an end."""

# No leading zeros: attr_01 and attr_1 would be two columns of one number.
SLOT_COLUMN = re.compile(r"attr_([1-9][0-9]*)")

_PLAIN_NAMES = {"id": "id", "category": "Category", "len": "len", "split": "split"}
# What pandas calls its index: in a CSV, in one that was read and written again, in Parquet.
_NAMELESS = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")


def is_slot_column(name: str) -> bool:
    """Whether a column is one of attr_1, attr_2, ...

    Example:
        >>> is_slot_column("attr_12"), is_slot_column("color")
        (True, False)
    """
    return SLOT_COLUMN.fullmatch(name) is not None


def is_parquet(path: Path) -> bool:
    """Whether a file is read as Parquet."""
    return path.suffix.lower() in (".parquet", ".parq", ".pq")


def is_json_lines(path: Path) -> bool:
    """Whether a file is read as JSON lines; what is neither this nor Parquet is CSV."""
    return path.suffix.lower() in (".jsonl", ".ndjson")


class FileColumns(NamedTuple):
    """The columns of a file."""

    columns: dict[str, pl.Series]
    """Name -> values of any type."""
    first_line: int
    """The line in which the first row starts."""
    notes: list[str]
    """What a person should know of how the file was read."""
    delimiter: str = ","
    """What separates the values of a CSV."""


def read_columns(
    path: Path,
    encoding: Encoding = "utf-8",
    wanted: Collection[str] = (),
    images: Sequence[str] = (),
) -> FileColumns:
    """The columns of a file.

    `id`, `Category`, `len`, `split` and `attr_k` are found whatever the case of their letters.
    Columns without a name are left out.

    Args:
        path: CSV, Parquet or JSON lines.
        encoding: Of a CSV.
        wanted: Columns to keep even if they are named like the index that pandas writes.
        images: Columns that hold images or their paths; see `read_parquet`.

    Warns:
        UserWarning: A column without a name holds values.

    Raises:
        InputError: The file cannot be read, or two columns have one name.
    """
    names, columns, first_line, delimiter = _read(path, encoding, images)
    found: dict[str, pl.Series] = {}
    for position, (given, column) in enumerate(zip(names, columns, strict=True), start=1):
        name = plain_name(given)
        if _NAMELESS.fullmatch(name) and name not in wanted:
            _warn_of_nameless(path, position, column)
            continue
        if name in found:
            raise InputError(
                f"{path}: column '{shown(name)}' appears twice; rename or remove one"
                f"{header_hint(names)}"
            )
        _check_number(path, name)
        found[name] = column
    notes = []
    if delimiter != ",":
        notes.append(f"note: {path}: its values are separated by {DELIMITERS[delimiter]}")
    return FileColumns(found, first_line, notes, delimiter)


def label_columns(
    path: Path, names: Sequence[str], attribute_columns: Sequence[str], taken: Iterable[str]
) -> list[str]:
    """The columns that are named as attributes, as the file calls them.

    Args:
        path: The file, for messages.
        names: Of its columns.
        attribute_columns: Those that are named.
        taken: Columns that have another role.

    Raises:
        InputError: One is missing, or has another role.
    """
    reserved = {*_PLAIN_NAMES.values(), *taken}
    labels = [name for name in names if name not in reserved]
    wanted = [plain_name(name) for name in attribute_columns]
    for name in wanted:
        if name not in labels:
            raise InputError(f"{path}: `attribute_columns` {unknown_name(name, labels)}")
    return wanted


def header_hint(names: Iterable[str]) -> str:
    """What to add to a message about columns if the first row of the file seems to be no header."""
    names = [name.strip() for name in names]
    if {"id", "category"} & {name.casefold() for name in names}:
        return ""
    if len(names) == 1 and "|" in names[0]:
        return "; its values are separated by bars: save the file with commas"
    return "; if the first row holds values, put a row with the names of the columns above it"


def _read(
    path: Path, encoding: Encoding, images: Sequence[str]
) -> tuple[list[str], list[pl.Series], int, str]:
    with reading(path, "the path"):
        if is_parquet(path) or is_json_lines(path):
            frame = read_parquet(path, images) if is_parquet(path) else read_json_lines(path)
            return frame.columns, frame.get_columns(), 1, ","
        text = read_csv_text(path, encoding)
    return text.names, text.frame.get_columns(), text.first_line, text.delimiter


def plain_name(name: str) -> str:
    """The name a column has here: without outer space, and of id, Category, attr_k in one case."""
    name = name.strip()
    folded = name.casefold()
    return folded if SLOT_COLUMN.fullmatch(folded) else _PLAIN_NAMES.get(folded, name)


def _warn_of_nameless(path: Path, position: int, column: pl.Series) -> None:
    if column.null_count() < len(column):
        warnings.warn(
            f"{path}: column {position} has no name, like the index that pandas writes: ignored; "
            "give it a name if it holds labels",
            stacklevel=1,
        )


def _check_number(path: Path, name: str) -> None:
    slot = SLOT_COLUMN.fullmatch(name)
    # By length, before anybody takes it for a number: int() raises at thousands of digits.
    if slot and len(slot[1]) > len(str(MAX_SLOTS)):
        raise InputError(
            f"{path}: column '{shown(name)}': columns of labels are called attr_1 to "
            f"attr_{MAX_SLOTS} at most; rename or remove it"
        )
