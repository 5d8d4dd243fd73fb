"""Labels of too few rows, by hand and in files."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.catalogue import CatalogueConfig, columns_of, from_remembered, remembered
from visual_taxonomy.data.inspection import inspect_catalogue
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.rare_labels import find_rare, fold_rare
from visual_taxonomy.data.table import build_taxonomy, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

SHOP = "id,Category,color,title\n" + "".join(
    f"{i},{kind},{color},thing {i}\n"
    for i, (kind, color) in enumerate(
        [("Tops", "red")] * 4
        + [("Tops", "mauve"), ("Tops", "teal"), ("Tops", "teal"), ("Tops", "NA")]
        + [("Shoes", "mauve")] * 3
        + [("Shoes", "red")] * 2
    )
)
READING = LabelReading(min_rows=3, attribute_columns=("color",))


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text(SHOP)
    return path


def test_labels_are_counted_in_their_category(shop):
    file = LabelFile(shop, READING)
    assert file.rare_labels == {"color": {"Shoes": {"": ("red",)}, "Tops": {"": ("mauve", "teal")}}}
    expected = ["red"] * 4 + [""] * 4 + ["mauve"] * 3 + [""] * 2
    assert file.column("color").to_list() == expected
    assert "title" not in file.columns
    assert file.notes == [
        f"note: {shop}: labels of too few rows (`min_rows`) are read as another: 5 as unknown"
    ]
    assert file.markers(["color"]) == {"NA": 1}


def test_rare_labels_become_one_class_where_it_has_enough_rows(shop):
    reading = LabelReading(min_rows=3, rare_class="other", attribute_columns=("color",))
    file = LabelFile(shop, reading)
    assert file.column("color").to_list()[4:] == ["other"] * 3 + [""] + ["mauve"] * 3 + [""] * 2
    assert "3 as 'other'" in file.notes[0]
    assert "2 as unknown" in file.notes[0]


def test_the_rows_that_are_called_so_already_count_with_the_rare_ones():
    frame = pl.DataFrame({"Category": ["a"] * 6, "x": ["other", "p", "q", "q", "q", "q"]})
    assert find_rare(frame, ["x"], 2, "other") == {"x": {"a": {"other": ("p",)}}}
    assert find_rare(frame, ["x"], 3, "other") == {"x": {"a": {"": ("other", "p")}}}


def test_products_count_not_their_images(tmp_path):
    path = tmp_path / "a.csv"
    lines = ["1,a,mauve,1a", "1,,mauve,1b", "1,a,,1c", "2,a,red,2", "3,a,red,3"]
    lines += ["4,,red,4", "4,a,,4"]
    path.write_text("id,Category,color,image\n" + "\n".join(lines))
    reading = LabelReading(min_rows=2, attribute_columns=("color",), image_column="image")
    file = LabelFile(path, reading)
    assert file.rare_labels == {"color": {"a": {"": ("mauve",)}}}
    assert file.column("color").to_list() == ["", "red", "red", "red"]


def test_many_labels_are_counted_as_a_loop_counts_them():
    random = np.random.default_rng(0)
    categories = random.choice(["a", "b", "c"], 500).tolist()
    labels = random.choice([f"l{k}" for k in range(40)] + [""], 500).tolist()
    frame = pl.DataFrame({"Category": categories, "x": labels})
    counts = Counter(zip(categories, labels, strict=True))
    for least in (1, 3, 5, 100):
        folded, cells = fold_rare(frame, find_rare(frame, ["x"], least))
        expected = [
            label if label and counts[category, label] >= least else ""
            for category, label in zip(categories, labels, strict=True)
        ]
        assert folded["x"].to_list() == expected
        assert sum(cells.values()) == sum(map(bool, labels)) - sum(map(bool, expected))


def test_the_numbered_columns_of_the_competition_need_no_list(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,attr_1,attr_2\n1,a,x,dummy_value\n2,a,x,dummy_value\n3,a,y,\n")
    file = LabelFile(path, LabelReading(min_rows=2))
    assert file.rare_labels == {"attr_1": {"a": {"": ("y",)}}}
    assert file.column("attr_2").to_list() == ["dummy_value", "dummy_value", ""]


def test_of_a_file_with_titles_the_columns_of_labels_must_be_known(shop):
    with pytest.raises(InputError, match="`min_rows` needs `attribute_columns`"):
        LabelFile(shop, LabelReading(min_rows=3))


def test_a_taxonomy_has_the_classes_that_are_left(shop):
    assert build_taxonomy(shop, reading=READING).to_dict() == {
        "Shoes": {"color": ["mauve"]},
        "Tops": {"color": ["red"]},
    }


def test_another_file_is_read_as_the_training_csv_whatever_its_own_counts(shop, tmp_path):
    """As evaluate, predict and audit do: by what the checkpoint remembers."""
    settled = CatalogueConfig(rare_labels=LabelFile(shop, READING).rare_labels)
    kept = from_remembered(remembered(columns_of(settled)), "best.pt")
    assert kept == settled
    path = tmp_path / "new.csv"
    path.write_text("id,Category,color\n1,Tops,teal\n2,Tops,teal\n3,Tops,teal\n4,Tops,red\n")
    taxonomy = Taxonomy.from_dict({"Tops": {"color": ["red"]}})
    table = read_table(
        path, tmp_path, taxonomy, missing_images="keep", reading=READING, trained=kept
    )
    assert table.targets[:, 0].tolist() == [-1, -1, -1, 0]
    # And where the model knows of no rare labels, a small file folds none.
    small = LabelFile(path, READING, CatalogueConfig())
    assert small.column("color").to_list() == ["teal"] * 3 + ["red"]


def test_inspect_offers_the_line_and_shows_what_it_does(shop, tmp_path):
    text = inspect_catalogue(shop, LabelReading()).to_toml()
    assert "# 2 classes have fewer than 5 rows" in text  # mauve 4, teal 2
    path = tmp_path / "catalogue.toml"
    path.write_text(text.replace("# min_rows = 5", "min_rows = 3").replace("# rare_", "rare_"))
    found = inspect_catalogue(shop, LabelReading(catalogue=path))
    (color,) = found.attributes
    assert color.classes == {"red": 4, "mauve": 3, "other": 3}
    assert "min_rows = 3" in found.to_toml()
    assert LabelReading(catalogue=path).rare_class == "other"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_rows": 0}, "`min_rows` must be 1 or more, not 0"),
        ({"rare_class": "other"}, "`rare_class` needs `min_rows`"),
        ({"min_rows": 2, "rare_class": " "}, "`rare_class` is empty"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        LabelReading(**given)
