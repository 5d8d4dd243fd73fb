"""A Parquet file as columns of text; what holds no text is kept aside, for whoever asks for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from visual_taxonomy.data.parquet_images import HELD_BACK, image_columns
from visual_taxonomy.errors import InputError, shown

# A panic of the parser, which damaged files cause, is not even an Exception in Python.
_REFUSALS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def read_parquet(path: Path, images: Sequence[str] = ()) -> pl.DataFrame:
    """Read a Parquet file, but for its images: an empty column stands for each column of them.

    Args:
        path: The file.
        images: Columns of bytes that hold images, whatever their first rows look like.

    Raises:
        InputError: The file is not Parquet, or a column of it is damaged.
        OSError: It cannot be opened.
    """
    try:
        held_back = image_columns(path, images)
        if not held_back:
            return pl.read_parquet(path, glob=False)  # a path, even if it holds [ or *
        scan = pl.scan_parquet(path, glob=False)
        names = scan.collect_schema().names()
        texts = scan.select(name for name in names if name not in held_back).collect()
        height = scan.select(pl.len()).collect().item()
        empty = {name: pl.Series(name, [None] * height, HELD_BACK) for name in held_back}
        return pl.DataFrame([empty[n] if n in empty else texts[n] for n in names])
    except _REFUSALS as error:
        raise InputError(f"{path}{_damaged_column(path)}: {_reason(error)}") from None


def as_text(columns: Mapping[str, pl.Series]) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """The columns that are text or can be written as text, and the others by name."""
    texts = {name: _text(column) for name, column in columns.items()}
    frame = pl.DataFrame({name: text for name, text in texts.items() if text is not None})
    return frame, {name: columns[name] for name, text in texts.items() if text is None}


def why_no_text(name: str, column: pl.Series) -> str:
    r"""What is wrong with a column that `as_text` kept aside.

    Example:
        >>> why_no_text("id", pl.Series([b"7", b"\xff"]))
        "row 2, column 'id': b'\\xff' is not UTF-8; write the column as text"
    """
    name = shown(name)
    if column.dtype == HELD_BACK:
        return f"column '{name}': holds images, expected text or numbers (`image_column={name}`)"
    for row, value in enumerate(column if column.dtype == pl.Binary else [], start=1):
        try:
            (value or b"").decode("utf-8")
        except UnicodeDecodeError:
            problem = f"{shown(value)} is not UTF-8; write the column as text"
            return f"row {row}, column '{name}': {problem}"
    return f"column '{name}': holds {column.dtype}, expected text or numbers"


def _text(column: pl.Series) -> pl.Series | None:
    if column.dtype.is_nested():
        return None
    try:
        return column.cast(pl.String, strict=False)
    except _REFUSALS:
        return None


def _damaged_column(path: Path) -> str:
    """The column polars stumbles over, if it can read the others."""
    try:
        names = list(pl.read_parquet_schema(path))
    except (*_REFUSALS, OSError):
        return ""
    for name in names:
        try:
            pl.read_parquet(path, columns=[name], glob=False)
        except (*_REFUSALS, OSError):
            return f", column '{shown(name)}'"
    return ""


def _reason(error: BaseException) -> str:
    text = shown(str(error).partition("\n")[0], 200)
    if "utf" in text.casefold():
        return f"holds text that is not UTF-8 ({text}); write the column again"
    return f"not a Parquet file, or damaged ({text}); write it again"
