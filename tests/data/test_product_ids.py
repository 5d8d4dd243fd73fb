import pytest

from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.product_ids import read_ids
from visual_taxonomy.data.table import read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy


def file_of(tmp_path, *ids):
    path = tmp_path / "a.csv"
    path.write_text("id,Category\n" + "".join(f"{each},a\n" for each in ids))
    return LabelFile(path)


def test_ids_are_kept_as_they_stand(tmp_path):
    ids = ["007", "12", "sku-7 b", "a/b", "x..y", "A:1", "..", "0", "é" * 125]
    assert read_ids(file_of(tmp_path, *ids)) == ids


@pytest.mark.parametrize("name", ["../secret", "../../x", "a/../../x", "a\\..\\..\\x", "C:\\x"])
def test_an_id_that_leaves_the_image_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"row 3, column 'id': '.*' names a file outside the"):
        read_ids(file_of(tmp_path, "1", name))


def test_an_absolute_path_is_refused_even_where_missing_images_are_kept(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "secret.jpg").touch()
    taxonomy = Taxonomy.from_dict({"a": {"x": ["y"]}})
    for name in (tmp_path / "secret", "../secret"):
        path = file_of(tmp_path, name).path
        with pytest.raises(InputError, match="outside the image folder"):
            read_table(path, tmp_path / "images", taxonomy, False, "keep")


@pytest.mark.parametrize("name", ["1" * 5000, "é" * 126])
def test_an_id_too_long_for_a_file_is_refused_and_shown_in_part(tmp_path, name):
    with pytest.raises(InputError, match=r"row 2, column 'id': '.*characters\)' is too long") as e:
        read_ids(file_of(tmp_path, name))
    assert len(str(e.value)) < 400


@pytest.mark.parametrize(
    ("first", "second"),
    [("12", "000012"), ("000012", "12"), ("0", "000"), ("00001234567", "1234567")],
)
def test_two_ids_of_one_image_are_refused_with_both_rows(tmp_path, first, second):
    with pytest.raises(
        InputError,
        match=rf"row 4, column 'id': '{second}' is already in row 2, where it is written "
        rf"'{first}'; remove one",
    ):
        read_ids(file_of(tmp_path, first, "7", second))


def test_leading_zeros_tell_other_ids_apart(tmp_path):
    ids = ["a12", "a012", "0a", "00a", "0.5", "00.5"]
    assert read_ids(file_of(tmp_path, *ids)) == ids
