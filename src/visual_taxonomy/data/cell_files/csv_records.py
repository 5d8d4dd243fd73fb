"""The rows of a CSV file as they stand in it, byte for byte.

Not the csv module: it does not say how a cell was quoted, nor how a line ended. Bytes can be
searched as they are, for in UTF-8 and Latin-1 no part of another character looks like a quote, a
delimiter or a line end.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import IO, NamedTuple

CHUNK_BYTES = 1 << 20
"""Read at a time where lines do not matter."""


class Record(NamedTuple):
    r"""A row: `delimiter.join(cells) + end` are its bytes; a blank line is `Record([b""], end)`."""

    cells: list[bytes]
    """With their quotes and white space."""
    end: bytes
    r"""`\n`, `\r\n`, `\r`, or nothing at the end of the file."""

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands in its line."""
        return self.cells == [b""]


def split_records(lines: Iterable[bytes], delimiter: bytes) -> Iterator[Record]:
    r"""The rows of a CSV, those with line ends in a cell in one piece; one is in memory at a time.

    Args:
        lines: Of the file, with their ends; see `lines_of`.
        delimiter: What separates the cells.

    Example:
        >>> list(split_records([b'7;"a;\n', b'b";\r\n'], b";"))
        [Record(cells=[b'7', b'"a;\nb"', b''], end=b'\r\n')]
    """
    parts: list[bytes] = []
    is_open = False
    for line in lines:
        parts.append(line)
        # Quotes come in pairs, doubled ones too: after an odd number a cell is open.
        is_open ^= line.count(b'"') % 2 == 1
        if not is_open:
            yield _record(b"".join(parts), delimiter)
            parts.clear()
    if parts:
        yield _record(b"".join(parts), delimiter)


def lines_of(file: IO[bytes], has_newlines: bool) -> Iterator[bytes]:
    r"""The lines of a file with their ends.

    Args:
        file: Open at the first.
        has_newlines: False: lines end with `\r`, as on the Mac before OS X.
    """
    if has_newlines:
        yield from file
        return
    rest = b""
    while chunk := file.read(CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(b"\r")
        yield from (line + b"\r" for line in whole)
    if rest:
        yield rest


def cell_text(cell: bytes, codec: str = "utf-8") -> str:
    r"""What a cell says, without quotes and outer white space.

    Example:
        >>> cell_text(b' "5"" wide" ')
        '5" wide'
    """
    text = cell.decode(codec).strip()
    is_quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return text[1:-1].replace('""', '"').strip() if is_quoted else text


def written_cell(text: str, delimiter: str, is_quoted: bool = False) -> str:
    """A text as it stands in the file, in quotes where it must be, or where it is told to be.

    Example:
        >>> written_cell("red, blue", ","), written_cell("red, blue", ";")
        ('"red, blue"', 'red, blue')
    """
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if is_quoted or set(text) & {delimiter, *'"\r\n'} else text


def put_cell(cells: list[bytes], place: int, cell: bytes) -> None:
    """Replace a cell of a row, which grows if it ends before that place.

    Example:
        >>> cells = [b"7"]
        >>> put_cell(cells, 2, b"red")
        >>> cells
        [b'7', b'', b'red']
    """
    cells += [b""] * (place + 1 - len(cells))
    cells[place] = cell


def _record(line: bytes, delimiter: bytes) -> Record:
    body = line[:-1] if line.endswith((b"\n", b"\r")) else line
    # Not of `\r` alone, which ends a line only where it is all that ends lines.
    if line.endswith(b"\r\n"):
        body = line[:-2]
    end = line[len(body) :]
    if b'"' not in body:
        return Record(body.split(delimiter), end)
    cells, position, field = [], 0, _field(delimiter)
    while position <= len(body):
        match = field.match(body, position)
        assert match is not None  # the pattern matches the empty text
        cells.append(match[0])
        position = match.end() + 1
    return Record(cells, end)


@cache
def _field(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(rb'"[^"]*(?:""[^"]*)*"[^%b]*|[^%b]*' % (delimiter, delimiter))
