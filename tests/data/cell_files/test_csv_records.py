"""The rows of a CSV, byte for byte."""

import csv
import io
import random

from visual_taxonomy.data.cell_files.csv_records import lines_of, split_records


def test_python_reads_the_same_cells():
    """200 drawn files, read by the csv module."""
    draw = random.Random(0)
    for _ in range(200):
        rows = [
            ["".join(draw.choices('ab,;"\n é', k=draw.randrange(4))) for _ in "123"] for _ in "12"
        ]
        text = io.StringIO()
        quoting = draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
        end = draw.choice(["\n", "\r\n"])
        csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)
        lines = io.BytesIO(text.getvalue().encode())
        records = list(split_records(lines, b","))
        joined = [b",".join(record.cells) + record.end for record in records]
        assert b"".join(joined) == text.getvalue().encode()
        read = [
            [next(csv.reader(io.StringIO(cell.decode(), newline="")), [""])[0] for cell in r.cells]
            for r in records
        ]
        assert read == rows


def test_lines_of_the_old_mac_end_with_returns_across_chunks(monkeypatch):
    monkeypatch.setattr("visual_taxonomy.data.cell_files.csv_records.CHUNK_BYTES", 3)
    content = b"a,b\rlong line\r\rlast"
    lines = list(lines_of(io.BytesIO(content), has_newlines=False))
    assert lines == [b"a,b\r", b"long line\r", b"\r", b"last"]


def test_a_quote_that_never_closes_ends_with_the_file():
    (record,) = split_records([b'7,"a\n', b"8,b"], b",")
    assert b",".join(record.cells) + record.end == b'7,"a\n8,b'
