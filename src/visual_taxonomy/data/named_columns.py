"""Which columns of a file are read, and under which names."""

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.csv_text import read_csv_text
from visual_taxonomy.data.parquet_text import read_parquet
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.regular_file import reading

MAX_SLOTS = 9999
"""The largest k of a column attr_k: whoever counts up to k must come to an end."""

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
    """Whether a file is read as Parquet; all others are CSV."""
    return path.suffix.lower() in (".parquet", ".parq", ".pq")


def read_columns(
    path: Path, attribute_columns: Sequence[str] | None
) -> tuple[dict[str, pl.Series], int]:
    """The columns of a file by name, of any type, and the line its first row starts in.

    `id`, `Category`, `len`, `split` and `attr_k` are found whatever the case of their letters.
    Columns without a name are left out.

    Args:
        path: CSV or Parquet.
        attribute_columns: Those to keep beside `id`, `Category`, `len` and `split`; None keeps all.

    Warns:
        UserWarning: A column without a name holds values.

    Raises:
        InputError: The file cannot be read, two columns have one name, or a wanted one is missing.
    """
    names, columns, first_line = _read(path)
    wanted = None if attribute_columns is None else [_plain(name) for name in attribute_columns]
    found: dict[str, pl.Series] = {}
    for position, (given, column) in enumerate(zip(names, columns, strict=True), start=1):
        name = _plain(given)
        if _NAMELESS.fullmatch(name) and name not in (wanted or ()):
            _warn_of_nameless(path, position, column)
            continue
        if name in found:
            raise InputError(
                f"{path}: column '{shown(name)}' appears twice; rename or remove one"
                f"{header_hint(names)}"
            )
        _check_number(path, name)
        found[name] = column
    if wanted is None:
        return found, first_line
    labels = [name for name in found if name not in _PLAIN_NAMES.values()]
    for name in wanted:
        if name not in labels:
            raise InputError(f"{path}: `attribute_columns` {unknown_name(name, labels)}")
    return {k: v for k, v in found.items() if k not in labels or k in wanted}, first_line


def header_hint(names: Iterable[str]) -> str:
    """What to add to a message about columns if the first row of the file seems to be no header."""
    names = [name.strip() for name in names]
    if {"id", "category"} & {name.casefold() for name in names}:
        return ""
    separators = {";": "semicolons", "\t": "tabs", "|": "bars"}
    for separator, plural in separators.items():
        if len(names) == 1 and separator in names[0]:
            return f"; its values are separated by {plural}: save the file with commas"
    return "; if the first row holds values, put a row with the names of the columns above it"


def _read(path: Path) -> tuple[list[str], list[pl.Series], int]:
    with reading(path, "the path"):
        if is_parquet(path):
            frame = read_parquet(path)
            return frame.columns, frame.get_columns(), 1
        text = read_csv_text(path)
    return text.names, text.frame.get_columns(), text.first_line


def _plain(name: str) -> str:
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
    if slot and len(slot[1]) > len(str(MAX_SLOTS)):
        raise InputError(
            f"{path}: column '{shown(name)}': columns of labels are called attr_1 to "
            f"attr_{MAX_SLOTS} at most; rename or remove it"
        )
