"""One catalogue in many forms: the rows, words, images and split that all of them are read as."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.config import DataConfig
from visual_taxonomy.data.images import decode_image
from visual_taxonomy.data.table import Table
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.preparation import choose_split
from visual_taxonomy.training.train import read_rows

OWN: dict[str, Any] = {
    "id_column": "sku",
    "category_column": ("gender", "type"),
    "text_columns": ("titre", "marque"),
}
TITLES = ("Été en soie", 'a "quoted"; title', "two\nlines", "", "नीला कुर्ता")


class Product(NamedTuple):
    """What every form says of a product."""

    number: str
    category: str
    labels: dict[str, str]
    title: str
    brand: str
    images: Sequence[str]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products of two images each, of the categories whose names have two words or more."""
    folder = tmp_path_factory.mktemp("forms") / "drawn"
    synthesize(folder, 30, seed=1, image_size=32, views=2, workers=1)
    return folder


@pytest.fixture(scope="module")
def products(drawn: Path) -> list[Product]:
    taxonomy = Taxonomy.read(drawn / "attrs_config.json")
    found = []
    for row in pl.read_csv(drawn / "train.csv", infer_schema=False).iter_rows(named=True):
        if " " not in row["Category"]:
            continue
        names = taxonomy.attributes(row["Category"])
        labels = {name: row[f"attr_{k}"] or "" for k, name in enumerate(names, 1)}
        images = [f"{int(row['id']):06d}_{view}" for view in (1, 2)]
        title = TITLES[len(found) % len(TITLES)]
        brand = ("Acme", "Zeta")[len(found) % 2]
        found.append(Product(row["id"], row["Category"], labels, title, brand, images))
    return found


@pytest.fixture(scope="module")
def taxonomy(products: list[Product], drawn: Path) -> Path:
    """As a file, because the competition's columns do not name their attributes."""
    mapping = Taxonomy.read(drawn / "attrs_config.json").to_dict()
    kept = {name: mapping[name] for name in {each.category for each in products}}
    path = drawn / "kept.json"
    path.write_text(json.dumps(kept), encoding="utf-8")
    return path


def own_rows(products: Sequence[Product]) -> list[dict[str, Any]]:
    """Columns of a shop's own, in an order of their own."""
    rows = []
    for each in products:
        gender, kind = each.category.split(" ", 1)
        row = {"titre": each.title, "type": kind, **each.labels, "price": "9,50"}
        rows.append({**row, "marque": each.brand, "gender": gender, "sku": each.number})
    return rows


def frame_of(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in names})


def competition(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    rows = [
        {"id": each.number, "Category": each.category, "titre": each.title, "marque": each.brand}
        | {f"attr_{k}": label for k, label in enumerate(each.labels.values(), 1)}
        for each in products
    ]
    frame_of(rows).write_csv(out / "train.csv")
    plain = {"text_columns": OWN["text_columns"], "image_pattern": "{id}_*.jpg"}
    return {"csv_path": out / "train.csv", "img_dir": drawn / "images", **plain}


def in_subfolders(products: Sequence[Product], drawn: Path, out: Path) -> list[list[str]]:
    """Links to the images below folders of their category, and their names without suffix."""
    found = []
    for each in products:
        folder = out / "pics" / each.category
        folder.mkdir(parents=True, exist_ok=True)
        for name in each.images:
            (folder / f"{name}.jpg").hardlink_to(drawn / "images" / f"{name}.jpg")
        found.append([f"pics/{each.category}/{name}" for name in each.images])
    return found


def semicolons(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    paths = in_subfolders(products, drawn, out)
    rows = [
        row | {"photo": ";".join(names)}
        for row, names in zip(own_rows(products), paths, strict=True)
    ]
    frame_of(rows).write_csv(
        out / "own.csv", separator=";", include_bom=True, line_terminator="\r\n"
    )
    return {"csv_path": out / "own.csv", "img_dir": out, "image_column": "photo", **OWN}


def tabs_in_latin(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    rows = [
        row | {"front": each.images[0], "back": f"{each.images[1]}.jpg"}
        for row, each in zip(own_rows(products), products, strict=True)
    ]
    text = frame_of(rows).write_csv(separator="\t")
    (out / "own.tsv").write_bytes(text.encode("latin-1"))
    columns = {"image_column": ("front", "back"), "csv_encoding": "latin-1", **OWN}
    return {"csv_path": out / "own.tsv", "img_dir": drawn / "images", **columns}


def json_lines(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    first, *rest = [
        row | {"photo": [*each.images]}
        for row, each in zip(own_rows(products), products, strict=True)
    ]
    # A key that is not there is a hole; a column is there if any line has its key.
    lines = [first, *({name: value for name, value in row.items() if value} for row in rest)]
    every = dict.fromkeys(name for row in own_rows(products) for name in row)
    lines[1] = dict.fromkeys(every) | lines[1]
    (out / "own.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    files = {"csv_path": out / "own.jsonl", "img_dir": drawn / "images"}
    return {**files, "image_column": "photo", **OWN}


def repeated_rows(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    rows = []
    for row, each in zip(own_rows(products), products, strict=True):
        first, second = each.images
        # The second row of a product says nothing but which it is, and has a price of its own.
        rows.append(row | {"photo": first})
        rows.append({"sku": each.number, "photo": second, "price": "8"})
    frame_of(rows).write_csv(out / "own.csv")
    files = {"csv_path": out / "own.csv", "img_dir": drawn / "images"}
    return {**files, "image_column": "photo", **OWN}


def packed(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    contents = [[(drawn / "images" / f"{i}.jpg").read_bytes() for i in p.images] for p in products]
    frame = frame_of(own_rows(products)).with_columns(photo=pl.Series(contents))
    frame.write_parquet(out / "own.parquet", row_group_size=5)
    return {"csv_path": out / "own.parquet", "image_column": "photo", **OWN}


def structs(products: Sequence[Product], drawn: Path, out: Path) -> dict[str, Any]:
    contents = [
        [
            {"bytes": (drawn / "images" / f"{first}.jpg").read_bytes(), "path": "gone.jpg"},
            {"bytes": None, "path": f"{second}.jpg"},
        ]
        for first, second in (each.images for each in products)
    ]
    frame = frame_of(own_rows(products)).with_columns(photo=pl.Series(contents))
    frame.write_parquet(out / "own.parquet")
    files = {"csv_path": out / "own.parquet", "img_dir": drawn / "images"}
    return {**files, "image_column": "photo", **OWN}


Form = Callable[[Sequence[Product], Path, Path], dict[str, Any]]
FORMS: tuple[Form, ...] = (semicolons, tabs_in_latin, json_lines, repeated_rows, packed, structs)


def read(settings: dict[str, Any], taxonomy: Path) -> tuple[Table, np.ndarray, np.ndarray]:
    """The table, its split, and its groups of near-duplicates."""
    data = DataConfig(**settings, attributes_config=taxonomy, train_workers=0, test_ratio=0.2)
    rows = read_rows(data)
    split = choose_split(rows, data, None)
    assert split.groups is not None
    return rows.table, split.parts, split.groups


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_form_changes_neither_rows_nor_words_nor_images_nor_split(
    form: Form, products: list[Product], drawn: Path, taxonomy: Path, tmp_path: Path
) -> None:
    if form is tabs_in_latin:  # which has no letters for the others
        products = [each for each in products if each.title != TITLES[4]]
    (tmp_path / "usual").mkdir()
    expected, parts, groups = read(competition(products, drawn, tmp_path / "usual"), taxonomy)
    found, parts_of_form, groups_of_form = read(form(products, drawn, tmp_path), taxonomy)
    assert found.taxonomy == expected.taxonomy
    for name in ("ids", "categories", "targets", "texts", "starts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_array_equal(parts_of_form, parts)
    np.testing.assert_array_equal(groups_of_form, groups)
    assert len(found.images) == len(expected.images) == 2 * len(products)
    for number in range(len(expected.images)):
        ours, theirs = (decode_image(each.images.image(number)) for each in (found, expected))
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
