"""Parquet: odd types and damaged files."""

import random
from datetime import timedelta

import polars as pl
import pytest

from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.parquet_text import read_parquet
from visual_taxonomy.data.table import build_taxonomy, read_table
from visual_taxonomy.errors import InputError

PANICS = (243, 538, 739)
"""Seeds on whose files polars 2.1 panics."""

COLUMNS = {"id": ["1", "2"], "Category": ["A", "A"], "color": ["red", "blue"]}


def write(tmp_path, frame, name="a.parquet"):
    path = tmp_path / name
    frame.write_parquet(path, compression="uncompressed")
    return path


def test_ids_that_are_no_utf_8_are_named_with_their_row(tmp_path):
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "id": [b"1", b"\xff\xfe"]}))
    with pytest.raises(InputError, match=r"a\.parquet, row 2, column 'id': b'\\xff\\xfe' is not"):
        read_table(path, tmp_path, build_taxonomy(path), missing_images="keep")


def test_text_without_a_type_is_text(tmp_path):
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "color": [b"red", b"blue"]}))
    assert LabelFile(path).column("color").to_list() == ["red", "blue"]


def test_text_of_wrong_bytes_names_its_column(tmp_path):
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "id": ["qqqqqqqqqqqq", "2"]}))
    path.write_bytes(path.read_bytes().replace(b"qqqqqqqqqqqq", b"q" * 11 + b"\xff"))
    with pytest.raises(InputError, match=r"a\.parquet, column 'id': holds text that is not UTF-8"):
        LabelFile(path)


@pytest.mark.parametrize(
    "values", [[["x"], ["y"]], [{"a": 1}, {"a": 2}], [[[[["x"]]]], [[[["y"]]]]], [timedelta(1)] * 2]
)
def test_a_column_of_an_odd_type_is_refused_where_it_is_needed(tmp_path, values):
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "extra": values}))
    assert build_taxonomy(path).attributes("A") == ("color",)
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "id": values}))
    with pytest.raises(InputError, match=r"column 'id': holds .*, expected text or numbers"):
        read_table(path, tmp_path, build_taxonomy(path), missing_images="keep")
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "color": values}))
    with pytest.raises(InputError, match=r"has no label .*not read: column 'color': holds "):
        build_taxonomy(path)


def test_the_index_of_pandas_is_not_read(tmp_path):
    path = write(tmp_path, pl.DataFrame({**COLUMNS, "__index_level_0__": [0, 1]}))
    with pytest.warns(UserWarning, match="column 4 has no name"):
        assert LabelFile(path).columns == ["id", "Category", "color"]


def test_a_path_is_no_pattern(tmp_path):
    path = write(tmp_path, pl.DataFrame(COLUMNS), "a[1]*.parquet")
    assert read_parquet(path).height == 2


@pytest.mark.filterwarnings("ignore")
def test_no_damaged_parquet_raises_anything_but_an_input_error(tmp_path):
    """Files with a few bits flipped; a panic of polars is not even an Exception."""
    frame = pl.DataFrame({name: values * 20 for name, values in COLUMNS.items()})
    sound = write(tmp_path, frame.with_columns(id=pl.int_range(40).cast(pl.String))).read_bytes()
    path = tmp_path / "b.parquet"
    refused: list[str] = []
    for seed in (*range(200), *PANICS):
        draw = random.Random(seed)
        content = bytearray(sound)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        try:
            read_table(path, tmp_path, build_taxonomy(path), missing_images="keep")
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert all(message.startswith(str(path)) for message in refused)
