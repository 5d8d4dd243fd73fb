import polars as pl
import pytest

from visual_taxonomy.data import json_lines
from visual_taxonomy.data.json_lines import read_json_lines
from visual_taxonomy.errors import InputError


def write(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_values_are_text_as_they_are_written(tmp_path):
    path = write(
        tmp_path, '\ufeff{"id": 7, "a": 1.50, "b": true}\r\n\r\n{"id": "007", "c": null}\n'
    )
    frame = read_json_lines(path)
    assert frame.to_dict(as_series=False) == {
        "id": ["7", None, "007"],
        "a": ["1.50", None, None],
        "b": ["true", None, None],
        "c": [None, None, None],
    }


def test_columns_of_lists_hold_no_text(tmp_path):
    frame = read_json_lines(write(tmp_path, '{"id": 1, "tags": ["x"]}\n{"id": 2, "tags": "y"}\n'))
    assert frame.schema == {"id": pl.String, "tags": pl.List(pl.String)}


def test_long_files_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_CHUNK_ROWS", 2)
    rows = [f'{{"id": {i}, "a{i}": "x"}}' for i in range(5)]
    frame = read_json_lines(write(tmp_path, "\n".join(rows)))
    assert frame["id"].to_list() == list("01234")
    assert frame["a4"].to_list() == [None] * 4 + ["x"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ('{"id": 1}\n{"id": 2,\n', r"row 2: not JSON \(.*\): \{\"id\": 2,; each line holds"),
        ('{"id": 1, "id": 2}\n', r"row 1: not JSON \('id' appears twice\)"),
        ('{"id": 1}\n[2]\n', r"row 2: \['2'\], expected an object"),
        (b'{"id": "\xf6"}\n', "row 1: not UTF-8"),
        ("[" * 100_000, r"row 1: .*not JSON"),
    ],
)
def test_a_line_that_is_no_product_is_named(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"a\.jsonl(: |, ){message}"):
        read_json_lines(write(tmp_path, content))
