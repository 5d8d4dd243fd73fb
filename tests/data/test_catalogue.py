"""Columns with roles, as `LabelFile` gives them."""

import numpy as np
import polars as pl
import pytest

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.data.catalogue import Roles, settle_roles
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

EXPORT = "sku,gender,type,color,image\nA/1,Women,Tops, navy ,tops/1\nA/2,Men,Tops,Red,tops/2\n"
COLUMNS = {"id_column": "sku", "category_column": ("gender", "type"), "image_column": "image"}


def write(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_roles_give_the_columns_the_names_they_have_inside(tmp_path):
    file = LabelFile(write(tmp_path, EXPORT), LabelReading(**COLUMNS))
    assert file.frame.to_dict(as_series=False) == {
        "id": ["A/1", "A/2"],
        "Category": ["Women Tops", "Men Tops"],
        "color": ["navy", "Red"],
    }
    assert file.images["image"].to_list() == ["tops/1", "tops/2"]


def test_an_image_column_alone_changes_no_other_column(tmp_path):
    path = write(tmp_path, "Color,id,image,Category\nred,1,a.jpg,Tops\n")
    file = LabelFile(path, LabelReading(image_column="image"))
    assert file.columns == ["Color", "id", "Category"]


def test_all_rows_can_have_one_category(tmp_path):
    path = write(tmp_path, "id,Category,color\n1,x,red\n2,y,blue\n")
    file = LabelFile(path, LabelReading(category_name="Shoes"))
    assert file.column("Category").to_list() == ["Shoes", "Shoes"]


def test_a_column_that_is_only_called_id_gives_way(tmp_path):
    path = write(tmp_path, "sku,id,Category\nx,1,Tops\n")
    file = LabelFile(path, LabelReading(id_column="sku"))
    assert file.frame.rows() == [("x", "Tops")]


def test_names_of_known_columns_are_found_in_any_case(tmp_path):
    path = write(tmp_path, "ID,CATEGORY,kind\n1,Tops,a\n")
    reading = LabelReading(id_column="Id", category_column=("category", "kind"))
    assert LabelFile(path, reading).frame.rows() == [("1", "Tops a")]


def test_half_a_category_is_none(tmp_path):
    path = write(tmp_path, "id,gender,type\n1,Men,Tops\n2,NA,Tops\n3,Men,\n")
    file = LabelFile(path, LabelReading(category_column=("gender", "type")))
    assert file.column("Category").to_list() == ["Men Tops", "", ""]
    assert "row 3, column 'gender type'" in str(file.error(np.array([1]), "Category", "wrong"))
    assert "row 3, column 'gender': 'NA' means unknown" in str(
        file.empty(np.array([1]), "Category", "fill it")
    )
    assert "row 4, column 'type': is empty" in str(file.empty(np.array([2]), "Category", "fill it"))


def test_errors_name_the_column_of_the_file(tmp_path):
    file = LabelFile(write(tmp_path, EXPORT), LabelReading(**COLUMNS))
    assert "column 'sku': wrong" in str(file.error(np.array([0]), "id", "wrong"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"id_column": "skuu"}, r"`id_column`: 'skuu' is none of: sku, .* Did you mean 'sku'\?"),
        ({"category_column": ("gendr",)}, r"`category_column`: 'gendr' .* mean 'gender'\?"),
        ({"image_column": "imag"}, r"`image_column`: 'imag' .* mean 'image'\?"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest(tmp_path, given, message):
    with pytest.raises(InputError, match=rf"a\.csv: {message}"):
        LabelFile(write(tmp_path, EXPORT), LabelReading(**given))


def test_a_file_without_the_usual_columns_is_told_how_to_name_them(tmp_path):
    file = LabelFile(write(tmp_path, EXPORT))
    with pytest.raises(InputError, match=r"column 'id' is none .*`id_column`; `vtax inspect`"):
        file.column("id")
    with pytest.raises(InputError, match=r"column 'Category' is none .*`category_column`"):
        file.column("Category")


def test_another_csv_is_read_as_the_training_csv_was(tmp_path):
    trained = CatalogueConfig(**COLUMNS)
    file = LabelFile(write(tmp_path, EXPORT), trained=trained)
    assert file.roles == Roles("sku", ("gender", "type"), None, ("image",))


def test_a_usual_csv_can_be_read_by_a_model_of_other_columns(tmp_path):
    trained = CatalogueConfig(**COLUMNS)
    file = LabelFile(write(tmp_path, "id,Category\n1,Tops\n"), trained=trained)
    assert file.roles == Roles()


def test_flags_count_more_than_what_a_model_remembers(tmp_path):
    names = ["sku", "code", "gender", "type", "image", "photo"]
    given = CatalogueConfig(id_column="code", image_column="photo", category_column=("type",))
    roles = settle_roles(tmp_path, names, given, CatalogueConfig(**COLUMNS))
    assert roles == Roles("code", ("type",), None, ("photo",))


def test_one_category_is_remembered_unless_the_csv_has_categories(tmp_path):
    trained = CatalogueConfig(category_name="Shoes")
    only_ids = settle_roles(tmp_path, ["id"], CatalogueConfig(), trained)
    assert (only_ids.category_name, only_ids.category_columns) == ("Shoes", ())
    assert settle_roles(tmp_path, ["id", "Category"], CatalogueConfig(), trained) == Roles()


def test_a_missing_column_that_the_training_csv_had_is_named(tmp_path):
    trained = CatalogueConfig(id_column="sku")
    file = LabelFile(write(tmp_path, "Category\nTops\n"), trained=trained)
    with pytest.raises(InputError, match="the training CSV had it in sku"):
        file.column("id")


def test_merged_labels_are_one_class(tmp_path):
    reading = LabelReading(**COLUMNS, merged_labels={"color": {"Navy Blue": ("navy", "Red")}})
    assert LabelFile(write(tmp_path, EXPORT), reading).column("color").to_list() == [
        "Navy Blue",
        "Navy Blue",
    ]


def test_an_attribute_that_has_another_role_is_refused(tmp_path):
    reading = LabelReading(attribute_columns=("color", "Category"), id_column="sku")
    path = write(tmp_path, "sku,Category,color\n1,a,b\n")
    with pytest.raises(InputError, match="`attribute_columns` 'Category' is none of: color"):
        LabelFile(path, reading)


def test_columns_that_are_not_read_still_count_for_lines(tmp_path):
    path = write(tmp_path, 'id,Category,color,title\n1,a,b,"x\ny"\n2,a,b,z\n')
    file = LabelFile(path, LabelReading(attribute_columns=("color",)))
    assert [file.line(row) for row in range(2)] == [2, 4]


def test_a_column_of_lists_has_no_role(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": ["1"], "tags": [[1]]}).write_parquet(path)
    with pytest.raises(InputError, match="column 'tags': holds List"):
        LabelFile(path, LabelReading(image_column="tags"))
    with pytest.raises(InputError, match="column 'tags': holds List"):
        LabelFile(path, LabelReading(id_column="tags")).column("id")


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter_is_read_and_said(tmp_path, delimiter, name):
    content = EXPORT.replace(",", delimiter).replace("Red", '"Red, or so"')
    file = LabelFile(write(tmp_path, b"\xef\xbb\xbf" + content.encode()), LabelReading(**COLUMNS))
    assert file.column("color").to_list() == ["navy", "Red, or so"]
    assert file.notes == [f"note: {file.path}: its values are separated by {name}"]


def test_commas_are_not_worth_a_word(tmp_path):
    assert LabelFile(write(tmp_path, EXPORT)).notes == []


def test_latin_1_is_read_only_if_it_is_said(tmp_path):
    path = write(tmp_path, "id,Category\n1,Röcke\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"row 2: .*byte 0xf6.* say .*\(`csv_encoding=latin-1`\)"):
        LabelFile(path)
    file = LabelFile(path, LabelReading(csv_encoding="latin-1"))
    assert file.column("Category").to_list() == ["Röcke"]


def test_json_lines_are_read_as_the_same_csv(tmp_path):
    lines = (
        '{"sku": "A/1", "gender": "Women", "type": "Tops", "color": " navy ", "image": "tops/1"}\n'
        '{"sku": "A/2", "gender": "Men", "type": "Tops", "color": "Red", "image": "tops/2"}\n'
    )
    reading = LabelReading(**COLUMNS)
    of_lines = LabelFile(write(tmp_path, lines, "a.jsonl"), reading)
    assert of_lines.frame.equals(LabelFile(write(tmp_path, EXPORT), reading).frame)
    assert of_lines.line(1) == 2


def test_quoted_empty_cells_and_missing_ones_are_both_unknown(tmp_path):
    of_csv = LabelFile(write(tmp_path, 'id,a\n1,""\n2,\n3," "\n4,x\n'))
    lines = '{"id": 1, "a": ""}\n{"id": 2, "a": null}\n{"id": 3}\n{"id": 4, "a": "x"}\n'
    of_lines = LabelFile(write(tmp_path, lines, "a.ndjson"))
    assert of_csv.column("a").to_list() == ["", "", "", "x"]
    assert of_lines.frame.equals(of_csv.frame)


def test_labels_can_be_folded_into_a_class_of_another_name_or_into_unknown(tmp_path):
    path = write(tmp_path, "id,Category,color\n1,a,red\n2,a,mauve\n3,a,teal\n4,a,?\n")
    merged = {"color": {"other": ("mauve", "teal"), "": ("?",)}}
    file = LabelFile(path, LabelReading(merged_labels=merged))
    assert file.column("color").to_list() == ["red", "other", "other", ""]
    assert file.markers(["color"]) == {}
