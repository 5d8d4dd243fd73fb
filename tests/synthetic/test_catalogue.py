import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.catalogue import synthesize, synthetic_taxonomy
from visual_taxonomy.synthetic.labels import draw_labels
from visual_taxonomy.taxonomy import Taxonomy

COLUMNS = ["id", "Category", "len", *(f"attr_{i}" for i in range(1, 11))]
FILES = {
    "images",
    "train.csv",
    "test.csv",
    "test_labels.csv",
    "attrs_config.json",
    "category_attributes.parquet",
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue") / "made" / "here"
    synthesize(folder, rows=40, seed=3, image_size=40, workers=1)
    return folder


def test_the_folder_holds_the_files_of_the_real_data_and_nothing_else(catalogue):
    assert {path.name for path in catalogue.iterdir()} == FILES


def test_train_and_test_share_out_the_rows(catalogue):
    train, test = rows_of(catalogue / "train.csv"), rows_of(catalogue / "test.csv")
    assert (len(train), len(test)) == (32, 8)
    ids = [int(row["id"]) for row in train + test]
    assert sorted(ids) == list(range(40))


def test_the_columns_are_those_of_the_competition(catalogue):
    for name in ("train.csv", "test_labels.csv"):
        assert list(rows_of(catalogue / name)[0]) == COLUMNS
    assert list(rows_of(catalogue / "test.csv")[0]) == ["id", "Category"]


def test_test_labels_are_the_rows_of_test_in_its_order_without_holes(catalogue):
    truth, test = rows_of(catalogue / "test_labels.csv"), rows_of(catalogue / "test.csv")
    assert [(r["id"], r["Category"]) for r in truth] == [(r["id"], r["Category"]) for r in test]
    for row in truth:
        labels = [row[f"attr_{i}"] for i in range(1, int(row["len"]) + 1)]
        assert "" not in labels


def test_test_labels_are_what_was_drawn(catalogue):
    for row in rows_of(catalogue / "test_labels.csv"):
        category, labels = draw_labels(3, int(row["id"]))
        assert row["Category"] == category
        assert list(labels.values()) == [row[f"attr_{i + 1}"] for i in range(len(labels))]


def test_every_label_is_in_the_taxonomy_and_in_a_column_of_its_attribute(catalogue):
    taxonomy = Taxonomy.read(catalogue / "attrs_config.json")
    for row in rows_of(catalogue / "train.csv") + rows_of(catalogue / "test_labels.csv"):
        names = taxonomy.attributes(row["Category"])
        assert int(row["len"]) == len(names)
        for i, name in enumerate(names):
            taxonomy.encode(row["Category"], name, row[f"attr_{i + 1}"])  # raises if it is not
        assert {row[f"attr_{i}"] for i in range(len(names) + 1, 11)} <= {""}


def test_train_labels_have_holes(catalogue):
    rows = rows_of(catalogue / "train.csv")
    holes = sum(not row[f"attr_{i}"] for row in rows for i in range(1, int(row["len"]) + 1))
    assert 0 < holes < sum(int(row["len"]) for row in rows)


def test_the_parquet_lists_the_attributes_as_the_real_one_does(catalogue):
    table = pl.read_parquet(catalogue / "category_attributes.parquet")
    assert table.schema == {
        "Category": pl.String,
        "No_of_attribute": pl.Int64,
        "Attribute_list": pl.List(pl.String),
    }
    taxonomy = synthetic_taxonomy()
    assert tuple(table["Category"]) == taxonomy.categories
    for category, count, names in table.iter_rows():
        assert (count, tuple(names)) == (len(names), taxonomy.attributes(category))


def test_every_row_has_a_portrait_jpeg_of_the_asked_height(catalogue):
    assert len(list((catalogue / "images").iterdir())) == 40
    for row in range(40):
        with Image.open(catalogue / "images" / f"{row:06d}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (30, 40))


def test_few_rows_already_show_all_five_categories(catalogue):
    categories = {row["Category"] for row in rows_of(catalogue / "train.csv")}
    assert categories == set(synthetic_taxonomy().categories)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(catalogue, tmp_path):
    synthesize(tmp_path, rows=40, seed=3, image_size=40, workers=2)
    assert digests(tmp_path) == digests(catalogue)


def test_another_seed_gives_other_labels_and_images(catalogue, tmp_path):
    synthesize(tmp_path, rows=4, seed=4, image_size=40, workers=1)
    ours, theirs = digests(tmp_path), digests(catalogue)
    assert all(ours[f"images/{i:06d}.jpg"] != theirs[f"images/{i:06d}.jpg"] for i in range(4))


def test_more_rows_keep_the_images_of_fewer(catalogue, tmp_path):
    synthesize(tmp_path, rows=5, seed=3, image_size=40, workers=1)
    ours, theirs = digests(tmp_path), digests(catalogue)
    assert all(ours[f"images/{i:06d}.jpg"] == theirs[f"images/{i:06d}.jpg"] for i in range(5))


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_up_to_all_rows(tmp_path, workers):
    seen: list[int] = []
    synthesize(tmp_path, rows=70, image_size=32, workers=workers, on_progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == 70


def test_what_a_worker_imports_starts_quickly():
    module = "visual_taxonomy.synthetic.catalogue"
    command = f"import sys, {module}; print({{'torch', 'polars'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_one_row_is_a_training_row(tmp_path):
    synthesize(tmp_path, rows=1, image_size=32, test_share=0.9)
    assert len(rows_of(tmp_path / "train.csv")) == 1
    assert (tmp_path / "test.csv").read_text() == "id,Category\n"


def test_without_a_test_share_all_rows_are_for_training(tmp_path):
    synthesize(tmp_path, rows=3, image_size=32, test_share=0)
    assert len(rows_of(tmp_path / "train.csv")) == 3


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_of_two_rows_or_more_train_never_stays_empty(tmp_path, share):
    synthesize(tmp_path, rows=2, image_size=32, test_share=share)
    assert len(rows_of(tmp_path / "train.csv")) >= 1


def test_what_an_interrupted_run_left_is_replaced(tmp_path):
    left = tmp_path / ".unfinished" / "images"
    left.mkdir(parents=True)
    (left / "000009.jpg").write_bytes(b"half an image")
    synthesize(tmp_path, rows=2, image_size=32)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert len(list((tmp_path / "images").iterdir())) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_no_table(tmp_path, workers):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path, rows=20, image_size=32, workers=workers, on_progress=interrupt)
    assert {path.name for path in tmp_path.iterdir()} == {".unfinished"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 0}, "rows: 0, expected at least 1"),
        ({"rows": 1, "seed": -1}, "seed: -1, expected 0 or more"),
        ({"rows": 1, "image_size": 31}, "image_size: 31 pixels, expected at least 32"),
        ({"rows": 1, "test_share": 1.0}, "test_share: 1.0, expected at least 0 and below 1"),
        ({"rows": 1, "test_share": -0.1}, "test_share: -0.1, expected"),
        ({"rows": 1, "workers": 0}, "workers: 0, expected at least 1"),
    ],
)
def test_a_number_out_of_range_is_an_error_before_anything_is_written(tmp_path, arguments, message):
    out = tmp_path / "out"
    with pytest.raises(InputError, match=message):
        synthesize(out, **arguments)
    assert not out.exists()


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "attrs_config.json"])
def test_files_of_the_user_are_never_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name}: already exists and is not overwritten"):
        synthesize(tmp_path, rows=1, image_size=32)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        synthesize(tmp_path / "out", rows=1)
