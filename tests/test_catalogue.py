import pytest

from visual_taxonomy.catalogue import (
    ONE_CATEGORY,
    CatalogueConfig,
    from_remembered,
    read_catalogue,
    remembered,
)
from visual_taxonomy.config import DataConfig
from visual_taxonomy.config_values import from_dict, to_dict
from visual_taxonomy.data.label_reading import LabelReading, reading_of
from visual_taxonomy.errors import InputError

FILE = """
id_column = "sku"
category_column = ["gender", "type"]
image_column = "image"
attribute_columns = ["color"]

[merged_labels.color]
"Navy Blue" = ["navy", "Navy-Blue"]
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_by_default_nothing_is_said_and_nothing_is_kept():
    assert remembered(CatalogueConfig()) == {}
    assert to_dict(CatalogueConfig()) == {}


def test_a_file_says_what_no_flag_says(toml):
    reading = LabelReading(catalogue=toml, id_column="id")
    assert reading.id_column == "id"
    assert reading.category_column == ("gender", "type")
    assert (reading.image_column, reading.attribute_columns) == ("image", ("color",))
    assert reading.merged_labels == {"color": {"Navy Blue": ("navy", "Navy-Blue")}}


def test_a_file_is_not_read_again(toml, tmp_path):
    config = DataConfig(tmp_path, tmp_path / "a.csv", catalogue=toml)
    toml.unlink()
    kept = from_dict(DataConfig, to_dict(config))
    assert kept == config
    assert kept.catalogue is None


def test_a_command_that_reads_no_labels_takes_the_same_file(toml):
    assert CatalogueConfig(catalogue=toml).image_column == "image"


def test_a_flag_for_one_category_overrides_the_columns_of_the_file(toml):
    config = CatalogueConfig(catalogue=toml, category_name="Shoes")
    assert (config.category_column, config.category_name) == (None, "Shoes")


def test_no_column_of_categories_is_one_category():
    assert CatalogueConfig(category_column=()).category_name == ONE_CATEGORY
    assert CatalogueConfig(category_column=(), category_name="Shoes").category_name == "Shoes"


def test_what_a_model_keeps_is_read_back(toml):
    config = CatalogueConfig(catalogue=toml)
    assert from_remembered(remembered(config), "best.pt") == config
    with pytest.raises(InputError, match=r"best\.pt, columns: 'colour' is none of"):
        from_remembered({"colour": 1}, "best.pt")


def test_settings_of_other_sections_are_left_out(toml, tmp_path):
    data = DataConfig(tmp_path, tmp_path / "a.csv", catalogue=toml, missing_values=("?",))
    assert reading_of(data) == LabelReading(("?",), catalogue=toml)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"id_column": "a", "image_column": "a"}, "`id_column` and `image_column` both name 'a'"),
        ({"category_column": ("a", "a")}, "`category_column` both name 'a'; a column has one role"),
        ({"category_column": ("a",), "category_name": "b"}, "exclude each other"),
        ({"category_name": " "}, "`category_name` is empty"),
    ],
)
def test_a_column_has_one_role(given, message):
    with pytest.raises(InputError, match=message):
        CatalogueConfig(**given)


def test_an_attribute_has_no_other_role():
    with pytest.raises(InputError, match="`id_column` and `attribute_columns` both name 'a'"):
        LabelReading(attribute_columns=("b", "a"), id_column="a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('idcolumn = "a"', r"catalogue\.toml: 'idcolumn' is none of: .* Did you mean 'id_column'"),
        ("id_column = 3", r"catalogue\.toml: id_column = 3 cannot be used"),
        ('id_column = "a"\nimage_column = "a"', r"catalogue\.toml: `id_column` and `image_column`"),
        (
            '[merged_labels.color]\nblue = ["navy"]\nred = ["navy"]',
            r"\[merged_labels\.color\]: 'navy' stands in two classes",
        ),
        (
            '[merged_labels.color]\nblue = ["navy"]\nred = ["blue"]',
            r"\[merged_labels\.color\]: 'blue' stands in two classes",
        ),
        ("id_column", "not a TOML file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "catalogue.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_catalogue(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: no such config file"):
        CatalogueConfig(catalogue=tmp_path / "none.toml")
