"""The cells of a CSV file as they stand in it, byte for byte.

Not the csv module: it does not say how a cell was quoted, nor how a line ended. Bytes can be
searched as they are, for in UTF-8 and Latin-1 no part of another character looks like a quote, a
delimiter or a line end.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

from typing_extensions import override

from visual_taxonomy.catalogue import Encoding
from visual_taxonomy.data.cell_files.base import CellFile, Fill
from visual_taxonomy.data.csv_text import BYTE_ORDER_MARK, find_delimiter
from visual_taxonomy.data.named_columns import plain_name
from visual_taxonomy.errors import InputError, shown

_CHUNK_BYTES = 1 << 20

# They have no character in Windows-1252; `read_csv_text` reads a file with one of them as Latin-1.
_ONLY_IN_LATIN_1 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


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
    while chunk := file.read(_CHUNK_BYTES):
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


class CsvCells(CellFile):
    """A CSV file.

    Args:
        path: The file.
        encoding: Of the file, as for `read_csv_text`.
    """

    def __init__(self, path: Path, encoding: Encoding = "utf-8") -> None:
        super().__init__(path)
        self._has_newlines, self.codec = _scan(path, encoding)
        with self._lines() as lines:
            first = next(filter(None, (line.rstrip(b"\r\n") for line in lines)), b"")
        self.delimiter = find_delimiter(first)
        with self._records() as records:
            header = next(record for record in records if not record.is_blank)
        self.names = [plain_name(cell_text(cell, self.codec)) for cell in header.cells]

    @override
    def texts(self, id_column: str, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        id_place = self.names.index(id_column)
        places = [self.names.index(name) for name in columns]
        with self._records() as records:
            filled = (record for record in records if not record.is_blank)
            next(filled)  # the header
            for cells, _ in filled:
                self._check(cells)
                product = _text_at(cells, id_place, self.codec)
                if product:
                    yield product, [_text_at(cells, place, self.codec) for place in places]

    @override
    def write(self, out: Path, id_column: str, fills: Iterable[Fill]) -> None:
        id_place, delimiter = self.names.index(id_column), self.delimiter.encode()
        rest, is_header = iter(fills), True
        with self._records() as records, out.open("wb") as file:
            if self._mark:
                file.write(BYTE_ORDER_MARK)
            for record in records:
                if not record.is_blank and is_header:
                    is_header = False
                elif _text_at(record.cells, id_place, self.codec):
                    self._fill(record.cells, next(rest))
                file.write(delimiter.join(record.cells) + record.end)

    @override
    def check_writable(self, labels: Mapping[str, Iterable[str]]) -> None:
        for label in chain(*labels.values()):
            try:
                label.encode(self.codec)
            except UnicodeEncodeError:
                raise InputError(
                    f"{self.path}: the model's class '{shown(label)}' has a character that Latin-1 "
                    "lacks (`csv_encoding=latin-1`); save the file as 'CSV UTF-8'"
                ) from None

    def _fill(self, cells: list[bytes], fill: Fill) -> None:
        for name, text in fill.items():
            place = self.names.index(name)
            # An exporter that puts each cell in quotes gets quotes.
            is_quoted = b'"' in b"".join(cells[place : place + 1])
            put_cell(cells, place, written_cell(text, self.delimiter, is_quoted).encode(self.codec))

    def _check(self, cells: list[bytes]) -> None:
        """Refuse a row that may be read in two ways."""
        strays = [cell for cell in cells if cell.count(b'"') % 2]
        if strays or len(cells) > len(self.names):
            found = self.delimiter.join(cell.decode(self.codec) for cell in cells)
            raise InputError(
                f"{self.path}: quotes inside a value make it unclear where its cells end, in: "
                f"{shown(found, 100)}; put the whole value in quotes and double the ones inside, "
                'such as "5"" wide"'
            )

    @contextmanager
    def _lines(self) -> Iterator[Iterator[bytes]]:
        with self.path.open("rb") as file:
            self._mark = file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK
            if not self._mark:
                file.seek(0)
            yield lines_of(file, self._has_newlines)

    @contextmanager
    def _records(self) -> Iterator[Iterator[Record]]:
        with self._lines() as lines:
            yield split_records(lines, self.delimiter.encode())


def _scan(path: Path, encoding: Encoding) -> tuple[bool, str]:
    """Whether lines end with newlines, and what Python calls the encoding."""
    has_newlines, codec = False, "cp1252"
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            has_newlines = has_newlines or b"\n" in chunk
            if encoding == "utf-8" and has_newlines:
                break
            if _ONLY_IN_LATIN_1.search(chunk):
                codec = "latin-1"
    return has_newlines, "utf-8" if encoding == "utf-8" else codec


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


def _text_at(cells: list[bytes], place: int, codec: str) -> str:
    return cell_text(cells[place], codec) if place < len(cells) else ""
