from pathlib import Path

import polars as pl
import pytest

from visual_taxonomy.config import DataConfig
from visual_taxonomy.config_values import to_dict
from visual_taxonomy.reporting.html.named_pictures import named_picture_finder


@pytest.fixture
def config(tmp_path):
    (tmp_path / "images" / "tops").mkdir(parents=True)
    (tmp_path / "images" / "tops" / "1.png").touch()
    for name, row in (("a.csv", "x,tops/1"), ("b.csv", "y,tops/2\nz,")):
        (tmp_path / name).write_text(f"sku,photo\n{row}\n", encoding="utf-8")
    names = {"id_column": "sku", "category_name": "Tops", "image_column": "photo"}
    path = tmp_path / "images"
    return DataConfig(path, tmp_path / "a.csv", val_csv_path=tmp_path / "b.csv", **names)


def test_images_are_where_the_files_of_the_run_say(config):
    find = named_picture_finder(to_dict(config), config.img_dir)
    assert find("x") == config.img_dir / "tops" / "1.png"
    assert [find(product) for product in ("y", "z", "unknown")] == [None, None, None]


def test_without_csv_or_folder_there_are_no_images(config, tmp_path):
    assert named_picture_finder(to_dict(config), tmp_path / "gone") is None
    config.csv_path.unlink()
    assert named_picture_finder(to_dict(config), config.img_dir) is None


def test_a_link_that_leads_out_shows_nothing(config, tmp_path):
    (tmp_path / "secret.png").touch()
    (config.img_dir / "tops" / "2.png").symlink_to(tmp_path / "secret.png")
    assert named_picture_finder(to_dict(config), config.img_dir)("y") is None


def test_images_are_found_in_the_table_itself_and_by_a_pattern(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    pl.DataFrame({"sku": ["x", "y"], "photo": [[b"GIF89a 1"], [b"GIF89a 2", b"GIF89a 3"]]}).select(
        "sku", pl.col("photo").cast(pl.List(pl.Binary))
    ).write_parquet(table)
    names = {"id_column": "sku", "category_name": "Tops"}
    config = DataConfig(None, table, image_column="photo", **names)
    find = named_picture_finder(to_dict(config), None)
    assert [find("y"), find("none")] == [b"GIF89a 2", None]
    (tmp_path / "x_1.png").touch()
    config = DataConfig(tmp_path, table, image_pattern="{id}_*", **names)
    find = named_picture_finder(to_dict(config), tmp_path)
    assert [find("x"), find("y")] == [tmp_path / "x_1.png", None]
