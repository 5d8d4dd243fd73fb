import os

import pytest

from visual_taxonomy.data.image_paths import NO_NAME, ImagePaths, LeadsOutside, folder_states
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict({"Tops": {"color": ["red", "blue"]}})
READING = LabelReading(image_column="image")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    for name in ("tops/1.jpg", "tops/1.png", "tops/2.PNG", "tops/new.line", "3.jpg", "dir.jpg/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def read(tmp_path, folder, *images, notes=None, **options):
    rows = "".join(f"{i},Tops,red,{image}\n" for i, image in enumerate(images))
    path = tmp_path / "a.csv"
    path.write_text("id,Category,color,image\n" + rows, encoding="utf-8")
    on_note = (notes if notes is not None else []).append
    return read_table(path, folder, TAXONOMY, reading=READING, on_note=on_note, **options)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("tops/1.png", "tops/1.png"),
        ("tops/1", "tops/1.jpg"),
        ("tops/2", "tops/2.PNG"),
        ("./tops//2.PNG", "tops/2.PNG"),
        ("tops\\2.PNG", "tops/2.PNG"),
        ("3", "3.jpg"),
        ("tops/new.line", "tops/new.line"),
        ("tops/9", None),
        ("tips/1.jpg", None),
        ("3.jpg/x", None),
    ],
)
def test_paths_are_found_with_or_without_suffix(folder, path, found):
    assert ImagePaths(folder).find(path) == found


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="none: no such image folder; check `img_dir`"):
        ImagePaths(tmp_path / "none")


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_links_may_not_lead_out(tmp_path, folder):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "1.jpg").touch()
    (folder / "file.jpg").symlink_to(tmp_path / "secret" / "1.jpg")
    (folder / "all").symlink_to(tmp_path / "secret")
    (folder / "same").symlink_to(folder / "tops")
    (folder / "own.jpg").symlink_to(folder / "3.jpg")
    images = ImagePaths(folder)
    assert images.find("same/1") == "same/1.jpg"
    assert images.find("own") == "own.jpg"
    for path in ("file.jpg", "file", "all/1.jpg", "all/1"):
        with pytest.raises(LeadsOutside):
            images.find(path)
    with pytest.raises(InputError, match=r"row 3, column 'image': 'all/1' is reached by a link .*"):
        read(tmp_path, folder, "3", "all/1")


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_the_folder_itself_may_be_a_link(tmp_path, folder):
    (tmp_path / "link").symlink_to(folder)
    assert ImagePaths(tmp_path / "link").find("tops/1.jpg") == "tops/1.jpg"


def test_a_table_has_the_paths_of_a_column(tmp_path, folder):
    table = read(tmp_path, folder, "tops/1.jpg", "3")
    assert [table.path(row) for row in range(2)] == [folder / "tops/1.jpg", folder / "3.jpg"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("../secret.jpg", r"'\.\./secret\.jpg' leads out of the image folder; use paths relative"),
        ("tops/../../x.jpg", "leads out of the image folder"),
        ("tops\\..\\..\\x.jpg", "leads out of the image folder"),
        ("/etc/passwd", "leads out of the image folder"),
        ("C:\\x.jpg", "leads out of the image folder"),
        ("\\\\server\\x.jpg", "leads out of the image folder"),
        ("https://example.org/x.jpg", r"is a URL, and nothing is downloaded.*wget --no-clobber"),
        ("s3://bucket/x.jpg", "is a URL"),
        ("tops/9.jpg", r"'tops/9\.jpg': no such file in .*images \(1 of 3 rows have no image\)"),
        ("other/3.jpg", r"no such file .*images/3\.jpg exists: check `img_dir`"),
        ("", r"names no image \(1 of 3 rows have no image\)"),
        ("NA", "names no image"),
    ],
)
def test_a_path_that_cannot_be_used_is_named_with_row_and_remedy(tmp_path, folder, image, message):
    with pytest.raises(InputError, match=rf"a\.csv, row 3, column 'image': .*{message}"):
        read(tmp_path, folder, "3", image, "3")


def test_all_rows_with_urls_are_counted(tmp_path, folder):
    with pytest.raises(InputError, match=r"row 2, column 'image'.* \(1 more row is wrong\)"):
        read(tmp_path, folder, "http://a/1.jpg", "http://a/2.jpg")


def test_two_dots_in_a_name_lead_nowhere(tmp_path, folder):
    (folder / "a..b.jpg").touch()
    assert read(tmp_path, folder, "a..b").image_names.tolist() == ["a..b.jpg"]


def test_missing_images_can_be_kept(tmp_path, folder):
    table = read(tmp_path, folder, "tops/9.jpg", "", "3", missing_images="keep")
    assert table.image_names.tolist() == ["tops/9.jpg", NO_NAME, "3.jpg"]
    assert not table.path(1).exists()


def test_an_image_that_many_products_have_is_said(tmp_path, folder):
    notes = []
    read(tmp_path, folder, *["3"] * 500, *["tops/1"] * 10, *["tops/2"] * 9, notes=notes)
    (note,) = notes
    assert "column 'image': '3' is the image of 500 rows (510 rows have one of 2 images" in note


def test_an_image_of_few_products_is_not_worth_a_word(tmp_path, folder):
    notes = []
    read(tmp_path, folder, *["3"] * 9, notes=notes)
    assert notes == []


def test_ids_are_any_text_where_a_column_names_the_images(tmp_path, folder):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,image\n../1,Tops,3\n7,Tops,3\n007,Tops,3\n", encoding="utf-8")
    table = read_table(path, folder, TAXONOMY, labelled=False, reading=READING)
    assert table.ids.tolist() == ["../1", "7", "007"]


def test_without_the_flag_the_column_of_the_images_is_suggested(tmp_path, folder):
    path = tmp_path / "a.csv"
    path.write_text("id,Category,color,image\nP-0,Tops,red,tops/1.jpg\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"'P-0' has no image.*column 'image' seems .* `image_column=image`"
    ):
        read_table(path, folder, TAXONOMY)


def test_states_of_images_are_of_their_files(folder):
    (folder / "tops" / "1.jpg").write_bytes(b"abc")
    found = folder_states(folder, {"tops/1.jpg", "3.jpg", "tops/9.jpg", "none/1.jpg"})
    assert {name: size for name, (size, _) in found.items()} == {"tops/1.jpg": 3, "3.jpg": 0}
    assert found["3.jpg"][1] == (folder / "3.jpg").stat().st_mtime_ns
