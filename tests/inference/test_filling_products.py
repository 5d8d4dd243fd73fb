"""Filling files with several rows or several images of one product, or with the images inside."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.data.cell_files.opening import open_cells
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answers import RowScores
from visual_taxonomy.inference.cell_list import cells_path, fill_file
from visual_taxonomy.inference.filling import Filling
from visual_taxonomy.inference.holes import find_holes
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict({"Tops": {"color": ["red", "blue"], "neck": ["v", "o"]}})

ROWS = (
    "id,Category,photo,color,neck,price\n"
    "a,Tops,a1.png,,,5\n"
    "b,Tops,b1.png,red,NA,7\n"
    "a,Tops,a2.png,,o,\n"
    "b,Tops,b2.png,,,\n"
)
"""Two products in two rows each; without a label in any row: the color of a, and the neck of b."""


class Last:
    """In place of a model: the last class of each attribute; keeps the tables it was asked."""

    def __init__(self) -> None:
        self.asked: list[Table] = []

    def predict_table(
        self, table: Table, first: int = 0, with_known_labels: bool = False
    ) -> Iterator[RowScores]:
        self.asked.append(table)
        classes = np.ones((len(table) - first, 2), np.int64)
        shares = np.full((*classes.shape, 2), 0.5, np.float32)
        is_unknown = np.zeros_like(classes, dtype=np.bool_)
        yield RowScores(np.arange(first, len(table)), shares, classes, 1 - classes, is_unknown, {})


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., tuple[Path, Table]]:
    """Fills a file; gives the copy and the table that was predicted."""

    def run(path: Path, fill_markers: bool = False) -> tuple[Path, Table]:
        markers = ("NA",)
        table = read_table(
            path,
            tmp_path / "images",
            TAXONOMY,
            missing_images="keep",
            reading=LabelReading(image_column=("photo",), missing_values=markers),
        )
        file = open_cells(path, "utf-8")
        holes = find_holes(file, "id", table, (), markers, fill_markers)
        filling, model, out = Filling(file, "id", table, holes), Last(), path.with_stem("out")
        fill_file(model, filling, out, "request")
        counts = filling.attribute_counts(holes.is_hole)
        assert filling.counts == counts  # of products, not of cells
        return out, model.asked[0]

    (tmp_path / "images").mkdir()
    return run


def test_every_row_of_a_product_gets_the_answer_to_its_hole(fill, tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    out, asked = fill(tmp_path / "rows.csv")
    # What another row of the product says is no hole, and its empty cell stays.
    assert out.read_text() == (
        "id,Category,photo,color,neck,price\n"
        "a,Tops,a1.png,blue,,5\n"
        "b,Tops,b1.png,red,NA,7\n"
        "a,Tops,a2.png,blue,o,\n"
        "b,Tops,b2.png,,o,\n"
    )
    with cells_path(out).open() as file:
        cells = [(row["id"], row["attribute"]) for row in csv.DictReader(file)]
    assert cells == [("a", "color"), ("b", "neck")]
    # The product is answered once, with all its images and what all its rows know.
    assert asked.ids.tolist() == ["a", "b"]
    assert asked.starts.tolist() == [0, 2, 4]
    assert asked.targets.tolist() == [[-1, 1], [0, -1]]


def test_markers_in_one_row_of_a_product_are_filled_when_asked(fill, tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    text = fill(tmp_path / "rows.csv", fill_markers=True)[0].read_text()
    assert "b,Tops,b1.png,red,o,7\n" in text
    assert "b,Tops,b2.png,,o,\n" in text


def test_repeated_rows_of_other_kinds_of_files_are_filled_alike(fill, tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    frame = pl.read_csv(tmp_path / "rows.csv", infer_schema=False)
    frame.write_ndjson(tmp_path / "rows.jsonl")
    frame.write_parquet(tmp_path / "rows.parquet")
    expected = pl.read_csv(fill(tmp_path / "rows.csv")[0], infer_schema=False)
    assert pl.read_ndjson(fill(tmp_path / "rows.jsonl")[0]).equals(expected)
    assert pl.read_parquet(fill(tmp_path / "rows.parquet")[0]).equals(expected)


def test_rows_of_a_product_that_disagree_are_refused(fill, tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS.replace("b2.png,,", "b2.png,blue,"))
    with pytest.raises(InputError, match="row 5, column 'color': 'blue', but row 3 of the same"):
        fill(tmp_path / "rows.csv")


def test_several_images_in_one_cell_are_those_of_one_answer(fill, tmp_path):
    content = "id,Category,photo,color,neck\na,Tops,a1.png;a2.png,,v\nb,Tops,b1.png,red,v\n"
    (tmp_path / "rows.csv").write_text(content)
    out, asked = fill(tmp_path / "rows.csv")
    assert out.read_text() == content.replace("a2.png,,", "a2.png,blue,")
    assert asked.image_names.tolist() == ["a1.png", "a2.png"]


@pytest.mark.parametrize("kind", ["bytes", "struct", "list"])
def test_images_inside_a_parquet_file_come_back_as_they_were(fill, tmp_path, kind):
    images = [b"\x89PNG\r\n\x1a\n1", b"\x89PNG\r\n\x1a\n2", None]
    cells = {
        "bytes": images,
        "struct": [{"bytes": each, "path": "x.png"} for each in images],
        "list": [images[:2], images[:1], []],
    }[kind]
    frame = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "photo": pl.Series(cells, dtype=pl.Binary if kind == "bytes" else None),
            "Category": ["Tops"] * 3,
            "color": pl.Series(["red", None, ""], dtype=pl.Categorical),
            "neck": ["v", "o", "o"],
            "price": [1.5, None, 3.0],
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=2)
    out, asked = fill(tmp_path / "rows.parquet")
    found = pl.read_parquet(out)
    assert found.schema == frame.schema
    assert found.drop("color").equals(frame.drop("color"))
    assert found["color"].to_list() == ["red", "blue", "blue"]
    assert asked.image(0) == images[0 if kind == "list" else 1]
