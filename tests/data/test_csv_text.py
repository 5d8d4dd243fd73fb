"""CSV: what is read is what Python's own parser reads, and what is not names its row."""

import csv
import io
import random
from pathlib import Path

import pytest

from visual_taxonomy.data.csv_text import read_csv_text
from visual_taxonomy.data.table import build_taxonomy, read_table
from visual_taxonomy.errors import InputError

HEADER = "id,Category,attr_1\n"


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(path: Path) -> list[tuple[str, ...]]:
    return [tuple(value or "" for value in row) for row in read_csv_text(path).frame.rows()]


def by_python(content: str) -> list[tuple[str, ...]]:
    """All rows below the header, as the standard library reads them; short ones filled up."""
    rows = list(csv.reader(io.StringIO(content, newline="")))
    while not rows[0]:
        rows = rows[1:]
    return [tuple(row + [""] * (len(rows[0]) - len(row))) for row in rows[1:]]


@pytest.mark.parametrize(
    "content",
    [
        HEADER + '1,a,6" x 8" frame\n2,b,y\n',
        HEADER + '1,a,"6"" x, 8"""\n2,b,""\n3,c,""""\n',
        HEADER + '1,a,"two\nlines"\r\n2,b,"x"\n',
        HEADER + '1, "a",x\n2,b""c,y\n',
        'id,"Cat\negory",attr_1\n1,a,x\n',
        "\r\n\n" + HEADER + "1,a,x\n",
        HEADER + "1,a\n2\n3,b,y",
    ],
)
def test_what_is_read_is_what_python_reads(tmp_path, content):
    path = write(tmp_path, content)
    assert cells(path) == by_python(content)


@pytest.mark.parametrize(("content", "line"), [("\n\nid,a\n1,x\n", 4), ('id,"a\n\nb"\n1,x\n', 4)])
def test_the_first_row_is_counted_from_the_top_of_the_file(tmp_path, content, line):
    assert read_csv_text(write(tmp_path, content)).first_line == line


def test_lines_that_end_in_a_carriage_return_alone_are_lines(tmp_path):
    assert cells(write(tmp_path, "id,a\r1,x\r2,y\r")) == [("1", "x"), ("2", "y")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            HEADER + "1,a,x\n2,a,y,z\n",
            r"row 3: 4 values, but the header has 3 columns .*: 'z'\); p",
        ),
        (HEADER + '1,"a\nb",x\n2,a,y,z\n', r"row 4: 4 values, but the header has 3 columns"),
        (
            HEADER + '1,a,x\n2,a,"y\n3,b,z\n',
            r"row 3, column 'attr_1': a quote is not closed.* 2,a,",
        ),
        (
            HEADER + '1,a,x\n2,a 5" b,y\n3,b,z\n',
            r"row 3, column 'Category': a quote .* in: 2,a 5\"",
        ),
        (HEADER + '1,a 5" b,x\n2,a 7" b,y\n3,b,z\n', r"row 2, column 'Category': a quote"),
        (HEADER + '1,a,"x" y\n', r"row 2, column 'attr_1': a quote is not closed, or stands "),
        (HEADER + '1,"x,y",z\n2,"x,"y",z\n', r"row 3, column 'Category': a quote"),
        (HEADER + "1,a,x\n2,a,\rx,y\n", r"row 3: a carriage return without a line feed stands in"),
        (HEADER + "1,a,x\n2,\0,y\n", r"row 3: a zero byte, which no text holds; save the file as "),
        (b"PK\x03\x04\x14\0", r"is an Excel workbook or a zip file; save it as 'CSV UTF-8'"),
        (b"\x1f\x8b\x08", r"is compressed; unpack it"),
        (b"PAR1\x15", r"is a Parquet file; call it \.parquet"),
    ],
)
def test_a_malformed_file_is_refused_with_row_value_and_remedy(tmp_path, content, expected):
    with pytest.raises(InputError, match=rf"a\.csv(, |: ){expected}"):
        read_csv_text(write(tmp_path, content))


def test_a_long_row_is_shown_in_part(tmp_path):
    with pytest.raises(InputError) as error:
        read_csv_text(write(tmp_path, HEADER + f'1,a,"{"x" * 10_000}\n'))
    assert len(str(error.value)) < 500


SEEDS = (
    'id,Category,len,attr_1,attr_2\n1,Sarees,2,red,zari\n2,Kurtis,1,blue,\n3,Sarees,2,,"a, b"\n',
    'id,Category,color,neck\r\n1,A,red,\r\n2,B,,vee\r\n3,A,blue,"x""y"\r\n',
)
PIECES = (
    *('"', ",", "\n", "\r", "\r\n", "\0", "\ufeff", " ", "\t", ";", '""', "nan", "NA", "attr_1"),
    *("attr_99999999999", "-inf", "1e400", "../", "é", "\x80", "9" * 5000, "id", "Category", "len"),
    *("\\", "'", "\u2028", "\x1c", "\x85"),
)


def mutated(seed: int) -> bytes:
    """A small CSV after a few random insertions, deletions, repetitions and moves of lines."""
    draw = random.Random(seed)
    text = draw.choice(SEEDS)
    for _ in range(draw.randint(1, 6)):
        start = draw.randint(0, len(text))
        end = min(len(text), start + draw.randint(0, 8))
        lines = text.splitlines(keepends=True)
        draw.shuffle(lines)
        text = draw.choice(
            [
                text[:start] + draw.choice(PIECES) + text[start:],
                text[:start] + draw.choice(PIECES) + text[end:],
                text[:start] + text[end:],
                text[:end] + text[start:],
                "".join(lines),
            ]
        )
    content = text.encode()
    if draw.random() < 0.1:
        position = draw.randint(0, len(content))
        content = content[:position] + draw.randbytes(1) + content[position:]
    return content


@pytest.mark.filterwarnings("ignore")
def test_no_odd_csv_raises_anything_but_an_input_error(tmp_path):
    """300 mutations: each is a table, or one message of one line that names the file."""
    tables = 0
    for seed in range(300):
        path = write(tmp_path, mutated(seed))
        try:
            read_table(path, tmp_path, build_taxonomy(path), missing_images="keep")
            tables += 1
        except InputError as error:
            message = str(error)
            assert message.startswith(str(path)), seed
            assert len(message.splitlines()) == 1, seed
            assert len(message) < 1000, seed
    assert 20 < tables < 280


def test_no_odd_csv_is_read_in_another_way_than_python_reads_it(tmp_path):
    """Wherever both parsers take a file, they find the same cells."""
    compared = 0
    for seed in range(300):
        content = mutated(seed)
        try:
            found = cells(write(tmp_path, content))
            text = content.decode("utf-8-sig")
            expected = by_python(text)
        except (InputError, csv.Error):
            continue
        if "\r" not in text.replace("\r\n", ""):  # Python ends a row at a lone one, polars does not
            assert [row for row in found if any(row)] == [row for row in expected if any(row)], seed
            compared += 1
    assert compared > 50
