"""Images that stand in a Parquet file: which columns hold some, and their cells, a part at a time.

A cell is the content of an image file, the `{bytes, path}` of Hugging Face datasets, or a list of
either. Shapes: N rows.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.data.images import is_image
from visual_taxonomy.data.packed_images import Origin, PackedImages
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.regular_file import reading

HELD_BACK = pl.List(pl.Binary)
"""Type of the empty column that stands for one of images: nobody takes it for text."""

_PART = 256
"""Rows read at a time; of images of 100 kB, 25 MB."""
_LOOKED_AT = 16
"""Rows of a column of bytes that tell whether it holds images or text without a type."""


class Cell(NamedTuple):
    """One image of a cell: its content, or its path below the folder of the images."""

    content: bytes | None = None
    path: str | None = None


def image_columns(path: Path, wanted: Sequence[str] = ()) -> list[str]:
    """The columns of a Parquet file that hold images; `wanted` says so of columns of bytes.

    Raises:
        OSError: The file cannot be opened.
        pl.exceptions.PolarsError: It is not Parquet.
    """
    found = []
    for name, kind in pl.scan_parquet(path, glob=False).collect_schema().items():
        if kind == pl.Binary:
            if name in wanted or _looks_like_images(path, name):
                found.append(name)
        elif _holds_bytes(kind):
            found.append(name)
    return found


def pack_column(
    path: Path, column: str, rows: np.ndarray
) -> tuple[dict[str, PackedImages], list[list[str]]]:
    """The images of a column, copied out of the file, and what each row has of them.

    Args:
        path: Parquet.
        column: One of `image_columns`.
        rows: [N] numbers of the rows that are wanted, from 0, rising.

    Returns:
        Key of the column -> its images (nothing if all are files), and [N] lists of names: those
        of packed images (see `ImageList`), or paths of files.

    Raises:
        InputError: The file is damaged, or the folder for temporary files is full.
    """
    key = hashlib.blake2b(f"{path.resolve()}\0{column}".encode(), digest_size=6).hexdigest()
    names: list[list[str]] = []
    number = 0

    def images() -> Iterator[tuple[int, bytes | None]]:
        nonlocal number
        for row, cells in read_cells(path, column, rows):
            names.append([])
            # A row without an image has one that cannot be read, so that it is named like others.
            for cell in cells or [Cell()]:
                if cell.path is not None:
                    names[-1].append(as_path(cell.path))
                    continue
                names[-1].append(packed_name(key, number))
                number += 1
                yield row + 1, cell.content

    with reading(path, "the path"):
        state = os.stat(path)
        packed = PackedImages(images(), Origin(path, column, state.st_size, state.st_mtime_ns))
    return ({key: packed} if number else {}), names


def packed_name(key: str, number: int) -> str:
    r"""The name of a packed image; no file has a name with a null character.

    Example:
        >>> packed_name("a1", 7)
        '\x00a1:7'
    """
    return f"\0{key}:{number}"


def as_path(text: str) -> str:
    r"""A path as a table names it, which is never taken for the name of a packed image.

    Example:
        >>> as_path("tops/1.jpg"), as_path("\0a1:7")
        ('tops/1.jpg', '/\x00a1:7')
    """
    # Nothing below a folder begins with a slash, so it is refused like any path that leads out.
    return "/" + text if text.startswith("\0") else text


def read_cells(path: Path, column: str, rows: np.ndarray) -> Iterator[tuple[int, list[Cell]]]:
    """Each of the rows with its images, a part of the file at a time.

    Raises:
        InputError: The file is damaged.
    """
    wanted = set(rows.tolist())
    last = int(rows.max(initial=-1))
    for start in range(0, last + 1, _PART):
        length = min(_PART, last + 1 - start)
        part = range(start, start + length)
        if wanted.isdisjoint(part):
            continue
        values = _read(path, column, start, length)
        for row, value in zip(part, values, strict=True):
            if row in wanted:
                yield row, _cells(value)


def _read(path: Path, column: str, start: int, length: int) -> list[object]:
    try:
        # Only the row groups that the part lies in are read.
        frame = pl.scan_parquet(path, glob=False).select(column).slice(start, length).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = shown(str(error).partition("\n")[0], 200)
        raise InputError(f"{path}, column '{shown(column)}': damaged ({reason})") from None
    return frame[column].to_list()


def _cells(value: object) -> list[Cell]:
    if isinstance(value, list):
        return [cell for each in value for cell in _cells(each)]
    if isinstance(value, bytes):
        return [Cell(value)]
    if isinstance(value, dict):
        content, path = value.get("bytes"), value.get("path")
        # Hugging Face keeps the path beside the content; without content it says where it is.
        if content is None and isinstance(path, str) and path.strip():
            return [Cell(path=path.strip())]
        return [Cell(content if isinstance(content, bytes) else None)]
    return []


def _holds_bytes(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.List | pl.Array):
        return kind.inner == pl.Binary or _holds_bytes(kind.inner)  # type: ignore[arg-type]
    return isinstance(kind, pl.Struct) and any(
        field.name == "bytes" and field.dtype == pl.Binary for field in kind.fields
    )


def _looks_like_images(path: Path, column: str) -> bool:
    head = pl.scan_parquet(path, glob=False).select(column).head(_LOOKED_AT).collect()
    return any(is_image(value) for value in head[column] if value is not None)
