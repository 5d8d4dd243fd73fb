"""The cells of a CSV file as they stand in it, byte for byte."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from typing_extensions import override

from visual_taxonomy.catalogue import Encoding
from visual_taxonomy.data.cell_files.base import CellFile, Fill
from visual_taxonomy.data.cell_files.csv_records import (
    CHUNK_BYTES,
    Record,
    cell_text,
    lines_of,
    put_cell,
    split_records,
    written_cell,
)
from visual_taxonomy.data.csv_text import BYTE_ORDER_MARK, find_delimiter
from visual_taxonomy.data.named_columns import plain_name
from visual_taxonomy.errors import InputError, shown

# They have no character in Windows-1252; `read_csv_text` reads a file with one of them as Latin-1.
_ONLY_IN_LATIN_1 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


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
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            has_newlines = has_newlines or b"\n" in chunk
            if encoding == "utf-8" and has_newlines:
                break
            if _ONLY_IN_LATIN_1.search(chunk):
                codec = "latin-1"
    return has_newlines, "utf-8" if encoding == "utf-8" else codec


def _text_at(cells: list[bytes], place: int, codec: str) -> str:
    return cell_text(cells[place], codec) if place < len(cells) else ""
