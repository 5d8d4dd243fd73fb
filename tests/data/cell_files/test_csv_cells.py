"""The cells of a CSV, byte for byte."""

from pathlib import Path

import pytest

from visual_taxonomy.data.cell_files.csv_cells import CsvCells
from visual_taxonomy.errors import InputError


def cells_of(tmp_path: Path, content: bytes, encoding="utf-8") -> CsvCells:
    (tmp_path / "a.csv").write_bytes(content)
    return CsvCells(tmp_path / "a.csv", encoding)


def written(file: CsvCells, fills, id_column="id") -> bytes:
    out = file.path.with_name("out.csv")
    file.write(out, id_column, fills)
    return out.read_bytes()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_copy_without_changes_has_the_same_bytes(tmp_path, end, mark):
    lines = [b"", b'"ID",color', b'7,"a ""b"""', b"8", b"", b" 9 , x ", b",", b""]
    content = mark + end.join(lines)
    file = cells_of(tmp_path, content)
    assert file.names == ["id", "color"]
    assert list(file.texts("id", ["color"])) == [("7", ['a "b"']), ("8", [""]), ("9", ["x"])]
    assert written(file, [{}, {}, {}]) == content


def test_line_ends_of_both_kinds_stay(tmp_path):
    file = cells_of(tmp_path, b'id;color;note\r\n7;;"a\nb;"\n8;;\r\n')
    assert written(file, [{"color": "red"}, {"note": "x"}]) == (
        b'id;color;note\r\n7;red;"a\nb;"\n8;;x\r\n'
    )


def test_a_filled_text_is_quoted_where_it_must_be(tmp_path):
    content = b"id\ta\tb\n7\t\t\n"
    for text, expected in (("x, y", b"x, y"), ("x\ty", b'"x\ty"'), ('5" w', b'"5"" w"')):
        filled = written(cells_of(tmp_path, content), [{"a": text}])
        assert filled == b"id\ta\tb\n7\t" + expected + b"\t\n"


def test_a_quoted_empty_cell_gets_a_quoted_text(tmp_path):
    file = cells_of(tmp_path, b'"id","a"\n"7",""\n')
    assert written(file, [{"a": "red"}]) == b'"id","a"\n"7","red"\n'


def test_a_row_that_ends_early_grows(tmp_path):
    assert written(cells_of(tmp_path, b"id,a,b\n7\n"), [{"b": "x"}]) == b"id,a,b\n7,,x\n"


def test_latin_1_is_windows_1252_unless_it_cannot_be(tmp_path):
    file = cells_of(tmp_path, b"id,a\n\x80,\n", "latin-1")
    assert list(file.texts("id", ["a"])) == [("€", [""])]
    assert written(file, [{"a": "crème €"}]) == b"id,a\n\x80,cr\xe8me \x80\n"
    file = cells_of(tmp_path, b"id,a\n\x81,\n", "latin-1")
    assert written(file, [{"a": "crème"}]) == b"id,a\n\x81,cr\xe8me\n"
    with pytest.raises(InputError, match=r"class '€ x' has a character that Latin-1 lacks"):
        file.check_writable({"a": ["red", "€ x"]})
    cells_of(tmp_path, b"id,a\n7,\n").check_writable({"a": ["€"]})


@pytest.mark.parametrize("row", [b'7,a "x,,y" b', b'7,a, "b,c"', b"7,a,b,c,d"])
def test_a_row_that_can_be_read_in_two_ways_is_refused(tmp_path, row):
    file = cells_of(tmp_path, b"id,a,b,c\n" + row + b"\n")
    with pytest.raises(InputError, match="unclear where its cells end, in: 7,a"):
        list(file.texts("id", ["a"]))
