import numpy as np
import polars as pl
import pytest

from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.parquet_text import read_parquet
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import clean_label


def write(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message(file, row):
    return str(file.error(np.array([row]), "id", "wrong"))


def test_everything_is_text(tmp_path):
    file = LabelFile(write(tmp_path, "id,attr_1\n007,3\n8,1e5\n"))
    assert file.frame.to_dict(as_series=False) == {"id": ["007", "8"], "attr_1": ["3", "1e5"]}
    assert len(file) == 2


def test_unknown_and_outer_space_are_as_in_the_taxonomy(tmp_path):
    raw = ["", " ", "nan", "NaN", " NULL ", "null", "zari\n", "\tno ", "nan x", "none", "default"]
    rows = "".join(f'{i},"{label}"\n' for i, label in enumerate(raw))
    labels = LabelFile(write(tmp_path, "id,border\n" + rows)).column("border").to_list()
    assert labels == [clean_label(label) or "" for label in raw]


def test_the_case_of_known_columns_does_not_matter(tmp_path):
    file = LabelFile(write(tmp_path, "ID, category ,Len,ATTR_2,Attr_1,Color\n1,a,2,x,y,z\n"))
    assert file.columns == ["id", "Category", "len", "attr_2", "attr_1", "Color"]
    assert file.slot_columns == [1, 2]


def test_windows_lines_and_byte_order_mark_are_accepted(tmp_path):
    file = LabelFile(write(tmp_path, b"\xef\xbb\xbfid,Category\r\n1,Sarees\r\n"))
    assert file.frame.rows() == [("1", "Sarees")]


def test_parquet_numbers_and_lists_are_accepted(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame({"id": [7, 8], "len": [2, None], "tags": [["x"], []]})
    frame.write_parquet(path)
    file = LabelFile(path)
    assert file.frame.to_dict(as_series=False) == {"id": ["7", "8"], "len": ["2", ""]}
    assert message(file, 1) == f"{path}, row 2, column 'id': wrong"


def test_blank_lines_are_left_out_and_still_counted(tmp_path):
    file = LabelFile(write(tmp_path, "id,a\n1,x\n\n2,y\n\n"))
    assert file.column("id").to_list() == ["1", "2"]
    assert (file.line(0), file.line(1)) == (2, 4)


def test_lines_inside_labels_are_counted(tmp_path):
    file = LabelFile(write(tmp_path, 'id,a\n1,"x\n"\n2,"y\n\n"\n3,z\n'))
    assert [file.line(row) for row in range(3)] == [2, 3 + 1, 4 + 1 + 2]


def test_an_error_names_the_first_row_and_counts_the_others(tmp_path):
    file = LabelFile(write(tmp_path, "id,a\n1,x\n2,y\n3,z\n"))
    start = f"{file.path}, row 3, column 'a': bad"
    assert str(file.error(np.array([1]), "a", "bad")) == start
    assert str(file.error(np.array([1, 2]), "a", "bad")) == f"{start} (1 more row is wrong)"
    many = np.r_[1, np.full(2000, 2)]
    assert str(file.error(many, "a", "bad")) == f"{start} (2,000 more rows are wrong)"


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    file = LabelFile(write(tmp_path, "id,Categoy\n1,x\n"))
    with pytest.raises(
        InputError, match=r"a\.csv: column 'Category' is none of: id, Categoy\. Did you mean 'Cat"
    ):
        file.column("Category")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_missing_file_says_so(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: no such file; check the path"):
        LabelFile(tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder; name the file in it"):
        LabelFile(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_csv_says_so(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.csv: the file is empty"):
        LabelFile(write(tmp_path, content))


@pytest.mark.parametrize("content", ["id,a\n", "id,a\n\n\n"])
def test_a_csv_without_rows_says_so(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.csv: the file has no rows"):
        LabelFile(write(tmp_path, content))


def test_an_unreadable_encoding_is_named_with_its_row(tmp_path):
    content = "id,a\n1,x\n2,Größe\n".encode("latin-1")
    with pytest.raises(InputError, match=r"row 3: unreadable encoding \(byte 0xf6 is .* 'CSV UTF"):
        LabelFile(write(tmp_path, content))


def test_utf_16_is_an_unreadable_encoding(tmp_path):
    with pytest.raises(InputError, match="row 1: unreadable encoding"):
        LabelFile(write(tmp_path, "id,a\n1,x\n".encode("utf-16")))


@pytest.mark.parametrize("header", ["id,a,a", "id,ID,a", "id,a, a "])
def test_a_doubled_column_says_so(tmp_path, header):
    with pytest.raises(InputError, match=r"column '(a|id)' appears twice; rename or remove one"):
        LabelFile(write(tmp_path, f"{header}\n1,x,y\n"))


def test_a_file_that_is_not_parquet_says_so(tmp_path):
    path = write(tmp_path, "id\n1\n", "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: not a Parquet file"):
        LabelFile(path)
    with pytest.raises(InputError, match=r"a\.parquet: not a Parquet file"):
        read_parquet(path)


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_index_of_pandas_is_not_read(tmp_path, name):
    path = write(tmp_path, f"{name},id,a\n0,1,x\n1,2,y\n")
    with pytest.warns(UserWarning, match=r"a\.csv: column 1 has no name, .* ignored; give it a"):
        assert LabelFile(path).columns == ["id", "a"]


def test_empty_columns_without_a_name_are_left_out_in_silence(tmp_path):
    file = LabelFile(write(tmp_path, "id,a,,\n1,x,,\n2,y,,\n"))
    assert file.frame.rows() == [("1", "x"), ("2", "y")]


def test_a_column_may_be_called_as_polars_calls_doubled_ones(tmp_path):
    assert LabelFile(write(tmp_path, "id,a,a_duplicated_0\n1,x,y\n")).columns[1:] == [
        *("a", "a_duplicated_0")
    ]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("1,Sarees,red\n2,Kurtis,blue\n", "if the first row holds values, put a row with"),
        ("id|Category|a\n1|Sarees|red\n", "its values are separated by bars: save the file with"),
    ],
)
def test_a_file_without_header_or_commas_is_told_so(tmp_path, content, hint):
    with pytest.raises(InputError, match=rf"column 'Category' is none of: .*; {hint}"):
        LabelFile(write(tmp_path, content)).column("Category")


def test_a_first_row_of_values_that_repeat_is_told_so_too(tmp_path):
    with pytest.raises(InputError, match=r"column 'red' appears twice; .*; if the first row holds"):
        LabelFile(write(tmp_path, "1,Sarees,red,red\n"))


def test_a_line_of_white_space_is_a_line_without_value(tmp_path):
    assert LabelFile(write(tmp_path, "id,a\n1,x\n  \t\n2,y\n")).column("id").to_list() == ["1", "2"]


def test_lines_above_the_header_are_counted(tmp_path):
    assert LabelFile(write(tmp_path, "\n\nid,a\n1,x\n")).line(0) == 4


def test_markers_are_counted_by_text_without_empty_cells(tmp_path):
    file = LabelFile(write(tmp_path, "id,a,b\n1,NA,\n2,NA,None\n3,none, \nNA,x,y\n"))
    assert file.markers(["a", "b"]) == {"NA": 2, "None": 1}
