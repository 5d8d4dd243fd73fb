"""A file of JSON lines, a product a line, as columns of text."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import polars as pl

from visual_taxonomy.errors import InputError, shown

_CHUNK_ROWS = 20_000
"""Rows that are Python objects at a time; a million at once would take gigabytes."""

_LIST = "\0list"  # stands before a list until all chunks are there; few texts start so
_LINE = "\0line"  # holds the place of a blank line; no column is called so


def read_json_lines(path: Path) -> pl.DataFrame:
    """Read a file with an object of names and values in each line; blank lines are rows without.

    Numbers stay as they are written, true and false are text, null is a missing value. Columns
    that hold an object or a list anywhere are lists, which are no text.

    Raises:
        InputError: A line is not the JSON of an object, or names a column twice; or there is none.
        OSError: It cannot be read.
    """
    chunks: list[pl.DataFrame] = []
    nested: set[str] = set()
    with path.open("rb") as file:
        rows = json_rows(path, file)
        while chunk := list(islice(rows, _CHUNK_ROWS)):
            names = dict.fromkeys(name for row in chunk for name in row)
            columns = {name: [row.get(name) for row in chunk] for name in (_LINE, *names)}
            nested.update(name for name, values in columns.items() if _is_nested(values))
            texts = {name: list(map(json_text, values)) for name, values in columns.items()}
            # With a schema, or a column without a value in this chunk would be of another type.
            chunks.append(pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String)))
    # Diagonal, because a column may occur in some chunks only.
    frame = pl.concat(chunks, how="diagonal").drop(_LINE) if chunks else pl.DataFrame()
    if not frame.width:
        raise InputError(f"{path}: the file is empty; it needs a line for each product")
    # `as_text` keeps such columns aside and says why; one of them may name the images.
    return frame.with_columns(
        pl.Series(name, list(map(_list, frame[name])), pl.List(pl.String)) for name in nested
    )


def json_rows(path: Path, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The object of each line, numbers as they are written; {} for a blank line.

    Raises:
        InputError: A line is not the JSON of an object, or names a column twice.
    """
    for line, content in enumerate(file, start=1):
        text = content.removeprefix(b"\xef\xbb\xbf") if line == 1 else content
        if text.isspace() or not text:
            yield {}
            continue
        try:
            # Numbers as written: a float would make 1.1 of the class 1.10, and round a long id.
            row = json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=_without_twins)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}, row {line}: not UTF-8 ({error.reason}); save the file in UTF-8"
            ) from None
        except (ValueError, RecursionError) as error:
            reason, start = shown(error, 100), shown(text.decode(errors="replace").strip())
            raise InputError(
                f"{path}, row {line}: not JSON ({reason}): {start}; each line holds an object with "
                "the values of a product"
            ) from None
        if not isinstance(row, dict):
            raise InputError(
                f"{path}, row {line}: {shown(row)}, expected an object with the values of a "
                'product, such as {"id": "7", "color": "red"}'
            )
        yield row


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{shown(twice)}' appears twice")
    return row


def _is_nested(values: list[Any]) -> bool:
    return any(isinstance(value, dict | list) for value in values)


def json_text(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON holds
    """The text of a value; None for null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return _LIST + json.dumps(value)
    return value if isinstance(value, str) else None if value is None else str(value)


def _list(text: str | None) -> list[str] | None:
    if text is None or not text.startswith(_LIST):
        return None if text is None else [text]
    found: list[str] = json.loads(text.removeprefix(_LIST))
    return found
