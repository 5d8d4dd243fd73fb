"""The values of JSON lines, byte for byte."""

import json

from visual_taxonomy.data.cell_files.json_cells import JsonCells


def test_only_the_values_change(tmp_path):
    content = (
        b'\xef\xbb\xbf{ "id" :7, "color":null , "note": {"a": [1, "}"]}, "x":1.50}\r\n'
        b"\n"
        b'{"color": "", "ID": "8\\u00e9"}\n'
        b'{"color": "red", "id": 9}'
    )
    (tmp_path / "a.jsonl").write_bytes(content)
    file = JsonCells(tmp_path / "a.jsonl")
    assert file.names == ["id", "color", "note", "x"]
    rows = [("7", ["", "1.50"]), ("8é", ["", ""]), ("9", ["red", ""])]
    assert list(file.texts("id", ["color", "x"])) == rows
    file.write(tmp_path / "b.jsonl", "id", [{"color": 'a "é"'}, {"size": "M", "color": "b"}, {}])
    found = (tmp_path / "b.jsonl").read_bytes()
    assert found == (
        b'\xef\xbb\xbf{ "id" :7, "color":"a \\"\xc3\xa9\\"" , '
        b'"note": {"a": [1, "}"]}, "x":1.50}\r\n'
        b"\n"
        b'{"color": "b", "ID": "8\\u00e9", "size": "M"}\n'
        b'{"color": "red", "id": 9}'
    )
    assert json.loads(found.splitlines()[2])["size"] == "M"


def test_a_key_that_stands_last_is_filled_before_a_new_one(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "7", "color": null }\n{"id": "8", "size": 1}\n')
    file = JsonCells(tmp_path / "a.jsonl")
    file.write(tmp_path / "b.jsonl", "id", [{"size": "M", "color": "red"}, {}])
    assert (tmp_path / "b.jsonl").read_bytes() == (
        b'{"id": "7", "color": "red", "size": "M" }\n{"id": "8", "size": 1}\n'
    )
