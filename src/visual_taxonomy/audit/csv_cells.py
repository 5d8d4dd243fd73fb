"""Replace single cells of a CSV file, and leave every other byte as it is."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from visual_taxonomy.errors import InputError

_MARK = b"\xef\xbb\xbf"  # the byte order mark of "CSV UTF-8" from Excel
_LINE_END = re.compile(rb"\r\n|\n|\r")


class _Cell(NamedTuple):
    start: int
    end: int


def replace_cells(
    content: bytes,
    changes: Mapping[str, Mapping[str, str]],
    id_column: str = "id",
    delimiter: str = ",",
) -> bytes:
    r"""The file with other texts in some cells.

    Rows are found by their id and columns by their name, as `LabelFile` finds them: without outer
    white space, and whatever the case of the letters of `id` and `attr_k`.

    Args:
        content: A CSV file in UTF-8 with a header; of an id that is repeated, all rows change.
        changes: Id -> column -> new text; "" empties a cell.
        id_column: The column of the ids.
        delimiter: What separates the values.

    Raises:
        InputError: The file has no row of an id.

    Example:
        >>> replace_cells(b'id,color\r\n7,"red"\r\n8,\r\n', {"7": {"color": "red, blue"}})
        b'id,color\r\n7,"red, blue"\r\n8,\r\n'
    """
    rows = _rows(content, delimiter.encode())
    names = [_text(content, cell) for cell in next(rows, [])]
    id_position = _position(names, id_column)
    missing = set(changes)
    parts, done = [], 0
    for cells in rows:
        product = _text(content, cells[id_position]) if len(cells) > id_position else ""
        if product not in changes:
            continue
        # Several rows may be the images of one product: all of them say the same.
        missing.discard(product)
        by_position = {_position(names, name): new for name, new in changes[product].items()}
        # From left to right: what lies before `done` is written and cannot be changed any more.
        for position, new in sorted(by_position.items()):
            # A row that ends early has no such cell yet.
            commas = max(0, position + 1 - len(cells))
            start, end = cells[position] if not commas else _Cell(cells[-1].end, cells[-1].end)
            new_cell = delimiter.encode() * commas + _quoted(new, delimiter)
            parts += [content[done:start], new_cell]
            # Added cells count for the next change of this row, or it would add their commas again.
            cells += [_Cell(end, end)] * commas
            done = end
    if missing:
        raise InputError(f"no row with id '{min(missing)}' can be found to be changed")
    return b"".join([*parts, content[done:]])


def _rows(content: bytes, delimiter: bytes) -> Iterator[list[_Cell]]:
    """The cells of each row that is not blank."""
    # Not the csv module: it does not say at which bytes a cell stands. Bytes can be searched as
    # they are, for in UTF-8 no part of a longer character looks like a quote or a line end.
    field = re.compile(rb'"(?:[^"]|"")*"[^%b\r\n]*|[^%b\r\n]*' % (delimiter, delimiter))
    position = len(_MARK) if content.startswith(_MARK) else 0
    while position < len(content):
        cells = []
        while True:
            match = field.match(content, position)
            assert match is not None  # the pattern matches the empty text
            cells.append(_Cell(match.start(), match.end()))
            position = match.end()
            if content[position : position + 1] != delimiter:
                break
            position += 1
        if len(cells) > 1 or cells[0].start < cells[0].end:
            yield cells
        line_end = _LINE_END.match(content, position)
        position = line_end.end() if line_end else len(content)


def _text(content: bytes, cell: _Cell) -> str:
    text = content[cell.start : cell.end].decode().strip()
    is_quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return text[1:-1].replace('""', '"').strip() if is_quoted else text


def _position(names: list[str], name: str) -> int:
    if name in names:
        return names.index(name)
    return [each.casefold() for each in names].index(name.casefold())


def _quoted(text: str, delimiter: str) -> bytes:
    needs_quotes = set(text) & {delimiter, *'"\r\n'}
    doubled = text.replace('"', '""')
    return (f'"{doubled}"' if needs_quotes else text).encode()
