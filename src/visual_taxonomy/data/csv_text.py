"""A CSV file as columns of text, or an error that names the row and what is wrong with it.

polars parses; where it would refuse a file without saying where, or could misread one, the row is
looked for here. A row is called by the line of the file it starts in, counted from 1.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.catalogue import Encoding
from visual_taxonomy.errors import InputError, shown

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Excel puts in front of a file in UTF-8."""

# First bytes -> what the file is, and the remedy.
_OTHER_KINDS = {
    b"PK\x03\x04": "an Excel workbook or a zip file; save it as 'CSV UTF-8'",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as 'CSV UTF-8'",
    b"\x1f\x8b": "compressed; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed; unpack it",
    b"PAR1": "a Parquet file; call it .parquet",
}

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""What separates the values of a file, and its name; where two are even, the first counts."""

_LONE_RETURN = re.compile(rb"\r(?!\n)")
# Numbers, as the elements of bytes and of their NumPy view are.
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'


class CsvText(NamedTuple):
    """The text of a file."""

    frame: pl.DataFrame
    """Columns of String, null where a cell is empty; called 0, 1, 2, ..."""
    names: list[str]
    """The names of the columns as they stand in the file."""
    first_line: int
    """The line in which the first row below the header starts."""
    delimiter: str = ","
    """One of `DELIMITERS`."""


def read_csv_text(path: Path, encoding: Encoding = "utf-8") -> CsvText:
    """Read a CSV file with a header; its delimiter is the one its header has most of.

    Args:
        path: The file.
        encoding: Of the file. latin-1 is read as browsers do, as Windows-1252.

    Raises:
        InputError: It is empty, of another kind or encoding, has a row with more values than the
            header, or a stray quote.
        OSError: It cannot be read.
    """
    # As a whole: quotes and encodings cannot be checked line by line, because a value may hold
    # lines.
    content = _as_utf8(path, path.read_bytes().removeprefix(BYTE_ORDER_MARK), encoding)
    _check_encoding(path, content)
    if b"\n" not in content:  # lines of the Mac before OS X, which Excel still offers
        content = content.replace(b"\r", b"\n")
    delimiter = find_delimiter(content)
    names, start, first_line = _read_header(path, content, delimiter)
    _check_quotes(path, content, names, delimiter)
    body = content[start:]
    try:
        # Text throughout: inferred numbers would turn the id 007 into 7 and the label 1.0 into 1.
        frame = pl.read_csv(body, infer_schema=False, separator=delimiter)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _fault(path, content, names, str(error), delimiter) from None
    # Where the two parsers split the header differently, values would stand under wrong names.
    if frame.width != len(names):
        raise _fault(path, content, names, f"{frame.width} columns", delimiter)
    # Polars renames columns that occur twice; ours are checked, and named, by the caller.
    frame.columns = [str(position) for position in range(frame.width)]
    return CsvText(frame, names, first_line, delimiter)


def _as_utf8(path: Path, content: bytes, encoding: Encoding) -> bytes:
    """The content in UTF-8, if it can be; what it starts with is told before it is decoded."""
    for head, kind in _OTHER_KINDS.items():
        if content.startswith(head):
            raise InputError(f"{path}: is {kind}")
    if encoding == "utf-8":
        return content
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no character there; in Latin-1 all have one
        text = content.decode("latin-1")
    return text.encode()


def find_delimiter(content: bytes) -> str:
    """What the header has most of, outside quotes."""
    header = content.lstrip(b"\r\n").partition(b"\n")[0]
    # Every second piece lies outside quotes; a name in quotes may hold any delimiter.
    outside = b"".join(header.split(b'"')[::2])
    return max(DELIMITERS, key=lambda delimiter: outside.count(delimiter.encode()))


def _check_encoding(path: Path, content: bytes) -> None:
    # UTF-8 allows zero bytes, but UTF-16 read as UTF-8 is full of them.
    nul = content.find(b"\0")
    try:
        content.decode("utf-8")
        problem = None if nul < 0 else (nul, "a zero byte, which no text holds")
    except UnicodeDecodeError as error:
        value = content[error.start]
        problem = error.start, f"unreadable encoding (byte 0x{value:02x} is not UTF-8)"
    if problem is not None:
        position, text = problem
        line = _line_of(content, position)
        # Only whoever has the file can tell: any bytes are some text in Latin-1.
        said = "" if nul >= 0 else ", or say which it is (`csv_encoding=latin-1`)"
        raise InputError(f"{path}, row {line}: {text}; save the file as 'CSV UTF-8'{said}")


def _read_header(path: Path, content: bytes, delimiter: str) -> tuple[list[str], int, int]:
    """Names of the columns, the byte at which their row starts, and the line below it."""
    # Empty lines above the header are skipped but counted: messages give lines of the file.
    start = len(content) - len(content.lstrip(b"\r\n"))
    lines = content.count(b"\n", 0, start)
    # newline="" leaves line ends inside quotes as they are; the csv module asks for it.
    text = io.TextIOWrapper(io.BytesIO(content[start:]), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    try:
        names = next(reader, None)
    except csv.Error as error:
        raise InputError(f"{path}, row {lines + 1}: the header cannot be read ({error})") from None
    if names is None:
        raise InputError(f"{path}: the file is empty; it needs a header and a row for each product")
    return names, start, lines + reader.line_num + 1


def _check_quotes(path: Path, content: bytes, names: list[str], delimiter: str) -> None:
    """Refuse quotes that let a value run on into the next row.

    Every second quote opens a value and the one after it closes it; a doubled quote inside a value
    closes and opens again. So an opening quote stands behind a delimiter, a line end or a quote,
    and a closing one before such. A stray one is harmless only if its partner is in the same line.
    """
    if _QUOTE not in content:
        return
    # Line ends around it, so that a quote at either end has neighbours to look at, too.
    text = np.frombuffer(b"\n" + content + b"\n\n", dtype=np.uint8)
    # Quotes come in pairs, opening and closing; a doubled one inside a value is a pair too.
    quotes = np.flatnonzero(text == _QUOTE)
    unclosed = [int(quotes[-1])] if len(quotes) % 2 else []
    opening, closing = quotes[0 : len(quotes) - len(quotes) % 2 : 2], quotes[1::2]
    ends = np.array([ord(delimiter), _NEWLINE, _RETURN, _QUOTE])
    opens = np.isin(text[opening - 1], ends)
    wrong = opening[opens & ~np.isin(text[closing + 1], ends)].tolist()[:1] + unclosed
    for start, end in zip(opening[~opens].tolist(), closing[~opens].tolist(), strict=True):
        # Places in `text` are one further than in `content`, by the line end in front.
        if content.find(b"\n", start - 1, end - 1) >= 0:
            wrong.append(start)
            break
    if wrong:
        raise _stray_quote(path, content, names, min(wrong) - 1, delimiter)


def _stray_quote(
    path: Path, content: bytes, names: list[str], position: int, delimiter: str
) -> InputError:
    start = content.rfind(b"\n", 0, position) + 1
    # Before the first stray quote the row is sound: only delimiters outside quotes part its values.
    before = content[start:position].decode()
    values = sum(outside.count(delimiter) for outside in before.split('"')[::2])
    column = names[min(values, len(names) - 1)]
    end = content.find(b"\n", position)
    value = content[start : None if end < 0 else end].decode()
    return InputError(
        f"{path}, row {_line_of(content, position)}, column '{shown(column.strip())}': "
        f"a quote is not closed, or stands inside a value, in: {shown(value, 100)}; "
        'remove it, or put the whole value in quotes and double the one inside: "5"" wide"'
    )


def _fault(path: Path, content: bytes, names: list[str], reason: str, delimiter: str) -> InputError:
    """Why polars refused a file, or read another header than we."""
    # First of all: Python's csv ends a row there and polars does not, so what follows would find
    # nothing or blame another row.
    lone = _LONE_RETURN.search(content)
    if lone:
        return InputError(
            f"{path}, row {_line_of(content, lone.start())}: a carriage return without a line feed "
            "stands in it; save the file with one kind of line end"
        )
    for line, row in _rows(content, delimiter):
        if isinstance(row, csv.Error):
            return InputError(f"{path}, row {line}: {row}; correct the row")
        if len(row) > len(names):
            extra = ", ".join(f"'{shown(value)}'" for value in row[len(names) :][:3])
            parting = DELIMITERS[delimiter].removesuffix("s")
            return InputError(
                f"{path}, row {line}: {len(row)} values, but the header has {len(names)} columns "
                f"(too many: {extra}); put a value that holds a {parting} in quotes, or name the "
                "column"
            )
    reason = shown(reason.partition("\n")[0], 200)
    return InputError(f"{path}: not a readable CSV ({reason}); save it again as 'CSV UTF-8'")


def _rows(content: bytes, delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Rows with their lines, by a parser that is slow and says where it is."""
    reader = csv.reader(
        io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=""),
        delimiter=delimiter,
        strict=True,
    )
    line = 1
    try:
        for row in reader:
            yield line, row
            # Lines read so far: a row with line ends in its values takes several.
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, error


def _line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
