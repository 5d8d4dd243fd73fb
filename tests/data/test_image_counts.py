"""Images of a catalogue, in a folder or in the table, are counted and opened."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from visual_taxonomy.data import image_check
from visual_taxonomy.data.image_counts import count_images
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading

HELD = LabelReading(image_column="image")


def drawn(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def table_of(folder: Path, images: list[bytes | None] | pl.Series) -> LabelFile:
    rows = {"id": [f"p{i}" for i in range(len(images))], "Category": ["A"] * len(images)}
    frame = pl.DataFrame(rows).with_columns(pl.Series("image", images))
    frame.write_parquet(folder / "a.parquet")
    return LabelFile(folder / "a.parquet", HELD)


def test_several_images_of_a_product_are_all_counted(tmp_path: Path) -> None:
    for name in ("p_1.png", "p_2.png", "q_1.png"):
        (tmp_path / name).touch()
    path = tmp_path / "a.csv"
    path.write_text("id,Category,front,back\np,A,p_1;p_2,p_3\nq,A,q_1.png,\n", encoding="utf-8")
    file = LabelFile(path, LabelReading(image_column=("front", "back")))
    found = count_images(file, tmp_path)
    assert (found.found, found.missing, found.first_missing) == (3, 2, "p_3")
    assert found.names == ["p_1.png", "q_1.png"]
    assert found.check.files == 3
    file = LabelFile(path, LabelReading(image_pattern="{id}_2*"))
    found = count_images(file, tmp_path)
    assert (found.found, found.missing, found.first_missing) == (1, 1, "q")
    assert found.names == ["p_2.png", None]


def test_images_in_the_table_are_counted_and_opened(tmp_path: Path) -> None:
    placeholder = drawn(99)
    images = [drawn(0), None, b"", b"<html>", drawn(1)[:-50], *[placeholder] * 6]
    file = table_of(tmp_path, images)
    found = count_images(file, None)
    place = f"{tmp_path / 'a.parquet'}, row"
    assert (found.found, found.missing, found.rows) == (9, 2, 11)
    assert found.first_missing == f"{place} 2, column 'image'"
    assert list(found.check.broken) == [f"{place} {row}, column 'image'" for row in (4, 5)]
    (shared,) = found.check.shared
    assert (shared.name, shared.products) == (f"{place} 6, column 'image'", 6)
    assert [name is None for name in found.names] == [False, True, True, *[False] * 8]
    assert found.source(str(found.names[0]), None) == images[0]


def test_of_a_table_with_files_too_the_files_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "p1.png").write_bytes(drawn(1))
    structs = [
        {"bytes": drawn(0), "path": "x.png"},
        {"bytes": None, "path": "p1.png"},
        {"bytes": None, "path": "p2.png"},
    ]
    file = table_of(tmp_path, pl.Series(structs))
    found = count_images(file, tmp_path)
    assert (found.found, found.missing, found.first_missing) == (2, 1, "p2.png")
    assert found.names[1:] == ["p1.png", None]
    assert found.source("p1.png", tmp_path) == tmp_path / "p1.png"
    assert count_images(file, None).missing == 2


def test_of_a_large_table_some_images_are_copied_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_check, "MOST_FILES", 4)
    file = table_of(tmp_path, [drawn(seed) for seed in range(10)])
    found = count_images(file, None)
    assert (found.found, found.missing, found.rows, found.check.files) == (4, 0, 4, 4)
    assert [row for row, name in enumerate(found.names) if name] == [0, 3, 6, 9]
    assert count_images(file, None, whole_check=True).found == 10
