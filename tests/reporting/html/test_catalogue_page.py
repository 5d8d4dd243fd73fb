import html5lib
import numpy as np
import polars as pl
import pytest
from PIL import Image

from visual_taxonomy.data.inspection import inspect_catalogue
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.reporting.html.catalogue_page import write_catalogue_page


@pytest.fixture
def folder(tmp_path):
    """A catalogue of 40 products: images of 38, one broken, one of five products."""
    images = tmp_path / "images"
    images.mkdir()
    for i in range(38):
        Image.fromarray(np.full((8, 8, 3), 6 * max(i, 5), np.uint8)).save(images / f"{i:06d}.png")
    (images / "000037.png").write_text("gone")
    rows = "".join(f"{i},{'ab'[i % 2]}<b>,{('navy', 'Navy', '<i>x')[i % 3]}\n" for i in range(40))
    (tmp_path / "shop.csv").write_text("id,Category,color\n" + rows)
    return tmp_path


def page_of(folder, img_dir):
    found = inspect_catalogue(folder / "shop.csv", LabelReading(), img_dir)
    write_catalogue_page(found, img_dir, folder / "page.html")
    html = (folder / "page.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(html)
    return html


def test_a_page_shows_classes_images_and_examples(folder):
    html = page_of(folder, folder / "images")
    for text in (
        "<h1>shop.csv</h1>",
        "40 rows · 2 categories · 1 attribute",
        "a&lt;b&gt;",
        "&lt;i&gt;x",
        "May mean the same: navy, Navy",
        "first '38'",
        "000037.png",
        "not a JPEG, PNG, WebP, BMP or GIF image",
        "38 files opened, 37 of them decoded",
        "One image of many products",
    ):
        assert text in html or text.replace("'", "&#39;") in html
    assert html.count('src="data:image/jpeg') == 11  # 6 + 6, less the broken one
    assert "<i>x" not in html


def test_without_a_folder_the_page_says_so(folder):
    html = page_of(folder, None)
    assert "no folder was given" in html
    assert "data:image/jpeg" not in html


def test_images_in_the_table_are_shown_without_a_folder(folder):
    contents = [(folder / "images" / f"{i:06d}.png").read_bytes() for i in range(12)]
    rows = {"id": [*"abcdefghijkl"], "Category": ["A", "B"] * 6, "photo": contents}
    path = folder / "held.parquet"
    pl.DataFrame({**rows, "color": ["red", "blue", "red"] * 4}).write_parquet(path)
    found = inspect_catalogue(path, LabelReading())
    write_catalogue_page(found, None, folder / "page.html")
    html = (folder / "page.html").read_text(encoding="utf-8")
    assert html.count('src="data:image/jpeg') == 12
