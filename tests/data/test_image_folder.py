import pytest

from visual_taxonomy.data.image_folder import ImageFolder
from visual_taxonomy.errors import InputError


def folder(tmp_path, *names):
    for name in names:
        (tmp_path / name).touch()
    return ImageFolder(tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".JPG", ".Png"])
def test_an_image_is_found_by_number_whatever_its_suffix(tmp_path, suffix):
    assert folder(tmp_path, f"000042{suffix}").find("42") == f"000042{suffix}"


def test_an_image_is_found_by_the_id_itself(tmp_path):
    images = folder(tmp_path, "42.jpg", "sku-7 b.png", "1234567.jpg")
    assert images.find("42") == "42.jpg"
    assert images.find("sku-7 b") == "sku-7 b.png"
    assert images.find("1234567") == "1234567.jpg"


def test_leading_zeros_of_the_id_do_not_matter(tmp_path):
    assert folder(tmp_path, "000042.jpg").find("0042") == "000042.jpg"


def test_an_id_of_thousands_of_digits_has_no_image(tmp_path):
    images = folder(tmp_path, "000042.jpg")
    assert images.find("4" * 5000) is None
    assert images.usual_name("0" * 5000) == "000000.jpg"


def test_other_files_are_no_images(tmp_path):
    images = folder(tmp_path, "000042.txt", "000043")
    assert images.find("42") is None
    assert images.find("43") is None


def test_of_several_files_the_jpeg_counts(tmp_path):
    assert folder(tmp_path, "000001.bmp", "000001.jpg", "000001.png").find("1") == "000001.jpg"


def test_digits_of_other_scripts_are_no_numbers(tmp_path):
    assert folder(tmp_path, "٣.jpg").find("٣") == "٣.jpg"


def test_the_usual_name_is_the_one_to_look_for(tmp_path):
    images = folder(tmp_path)
    assert (images.usual_name("7"), images.usual_name("a")) == ("000007.jpg", "a.jpg")


@pytest.mark.parametrize("name", ["none", "file.txt"])
def test_a_missing_folder_says_so(tmp_path, name):
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError, match=rf"{name}: no such image folder; check `img_dir`"):
        ImageFolder(tmp_path / name)
