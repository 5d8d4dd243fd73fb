import pytest

from visual_taxonomy.data.image_files import image_files
from visual_taxonomy.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a/2.png", "a/1.PNG", "a/notes.txt", ".trash/3.jpg", "a/._1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_its_images_sorted_with_those_below(folder):
    found = [str(path.relative_to(folder)) for path in image_files([folder])]
    assert found == ["a/1.PNG", "a/2.png", "b.jpg"]


def test_files_stay_in_their_order_and_are_taken_once(folder):
    named = [folder / "b.jpg", folder / "a", folder / "a" / "2.png"]
    assert [path.name for path in image_files(named)] == ["b.jpg", "1.PNG", "2.png"]


def test_a_file_that_is_named_counts_whatever_its_suffix(folder):
    assert image_files([folder / "a" / "notes.txt"]) == [folder / "a" / "notes.txt"]


def test_what_is_not_there_is_named(folder):
    with pytest.raises(InputError, match=r"none\.jpg: no such file or folder"):
        image_files([folder / "b.jpg", folder / "none.jpg"])


def test_a_folder_without_images_is_named(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no image in this folder; images end in \.jpg,"):
        image_files([folder / "empty"])
