"""The cells of a Parquet file."""

import polars as pl
import pytest

from visual_taxonomy.data.cell_files.parquet_cells import ParquetCells
from visual_taxonomy.errors import InputError


@pytest.fixture
def frame() -> pl.DataFrame:
    """Four rows, one of them without an id."""
    return pl.DataFrame(
        {
            "ID": [1, 2, None, 3],
            "color": pl.Series([None, "red", None, " "], dtype=pl.Categorical),
            "size": pl.Series([None, 2, None, 4], dtype=pl.Int8),
            "image": [b"\xff", b"", None, b"x"],
            "price": [1.5, None, 2.5, 3.5],
        }
    )


def test_only_the_cells_change_and_types_stay(tmp_path, frame):
    frame.write_parquet(tmp_path / "a.parquet")
    file = ParquetCells(tmp_path / "a.parquet")
    rows = [("1", ["", ""]), ("2", ["red", "2"]), ("3", ["", "4"])]
    assert list(file.texts("id", ["color", "size"])) == rows
    file.write(tmp_path / "b.parquet", "id", [{"color": "blue", "size": "7"}, {}, {"color": "red"}])
    found = pl.read_parquet(tmp_path / "b.parquet")
    assert found.schema == frame.schema
    assert found["color"].to_list() == ["blue", "red", None, "red"]
    assert found["size"].to_list() == [7, 2, None, 4]
    assert found.drop("color", "size").equals(frame.drop("color", "size"))


def test_a_column_that_cannot_hold_a_class_is_refused(tmp_path, frame):
    frame.write_parquet(tmp_path / "a.parquet")
    file = ParquetCells(tmp_path / "a.parquet")
    file.check_writable({"size": ["7"], "color": ["blue"]})
    message = r"column 'size': holds Int8, which cannot hold the class 'large'; write the column as"
    with pytest.raises(InputError, match=message):
        file.check_writable({"size": ["7", "large"]})
