import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.data import image_check
from visual_taxonomy.data.image_check import SharedImage, check_images


def draw(folder, name, seed, size=(40, 50), **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name, **options)
    return name


def test_whole_images_are_not_broken(tmp_path):
    names = [draw(tmp_path, f"{i}.{kind}", i) for i, kind in enumerate(("jpg", "png", "bmp"))]
    found = check_images(tmp_path, names)
    assert (found.files, found.rows, found.decoded) == (3, 3, 3)
    assert (found.broken, found.shared) == ({}, [])


def test_what_is_broken_is_named_with_its_reason_in_the_order_of_the_file(tmp_path):
    good = (tmp_path / draw(tmp_path, "0.jpg", 0)).read_bytes()
    (tmp_path / "half.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    (tmp_path / "folder.jpg").mkdir()
    names = ["page.jpg", "half.jpg", "0.jpg", "folder.jpg", "empty.jpg"]
    found = check_images(tmp_path, names).broken
    assert list(found) == ["page.jpg", "half.jpg", "folder.jpg", "empty.jpg"]
    assert found["page.jpg"] == "not a JPEG, PNG, WebP, BMP or GIF image"
    assert found["half.jpg"].startswith("truncated or damaged")
    assert found["folder.jpg"] == "Is a directory"
    assert found["empty.jpg"] == "the file is empty"


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_file_without_its_end_is_found_outside_the_sample(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(image_check, "MOST_DECODED", 1)
    names = [draw(tmp_path, f"{i}.{kind}", i, size=(200, 200)) for i in range(9)]
    path = tmp_path / names[4]
    path.write_bytes(path.read_bytes()[:-500])
    found = check_images(tmp_path, names)
    assert (list(found.broken), found.decoded) == ([names[4]], 2)


def test_damage_inside_is_found_where_all_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(image_check, "MOST_DECODED", 1)
    names = [draw(tmp_path, f"{i}.png", i) for i in range(9)]
    path = tmp_path / names[4]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert list(check_images(tmp_path, names).broken) == []
    found = check_images(tmp_path, names, whole=True)
    assert (list(found.broken), found.decoded) == ([names[4]], 9)


def test_one_image_of_twenty_products_is_shared_by_path_or_by_bytes(tmp_path):
    content = (tmp_path / draw(tmp_path, "none.png", 0)).read_bytes()
    copies = [f"copy{i}.png" for i in range(12)]
    for name in copies:
        (tmp_path / name).write_bytes(content)
    others = [draw(tmp_path, f"{i}.png", i + 1, size=(4, 4)) for i in range(30)]
    found = check_images(tmp_path, ["none.png"] * 8 + copies + others)
    assert found.shared == [SharedImage("none.png", 20, 13)]


def test_five_products_are_enough_where_they_are_a_hundredth(tmp_path):
    others = [draw(tmp_path, f"{i}.png", i, size=(4, 4)) for i in range(10)]
    shared = check_images(tmp_path, ["0.png"] * 5 + others[1:]).shared
    assert shared == [SharedImage("0.png", 5, 1)]
    assert check_images(tmp_path, ["0.png"] * 4 + others[1:]).shared == []
    rows = [*["0.png"] * 19, *np.repeat(others[1:9], 4), *["9.png"] * 2000]
    # A hundredth of 2051 rows is 20.51, and 20 alone are enough.
    assert [image.name for image in check_images(tmp_path, rows).shared] == ["9.png"]


def test_large_files_that_only_begin_alike_are_not_the_same(tmp_path):
    white = np.full((200, 200, 3), 255, np.uint8)
    for i in range(40):
        pixels = white.copy()
        pixels[100, 100] = i % 2
        # A BMP begins and ends with rows that are white in both kinds.
        Image.fromarray(pixels).save(tmp_path / f"{i}.bmp")
    shared = check_images(tmp_path, [f"{i}.bmp" for i in range(40)]).shared
    assert shared == [SharedImage("0.bmp", 20, 20), SharedImage("1.bmp", 20, 20)]


def test_of_many_files_some_are_opened_and_those_of_many_products_always(tmp_path, monkeypatch):
    monkeypatch.setattr(image_check, "MOST_FILES", 4)
    names = [draw(tmp_path, f"{i}.png", i, size=(4, 4)) for i in range(12)]
    found = check_images(tmp_path, [*names, *["5.png"] * 19])
    assert found.files == 5
    assert found.shared == [SharedImage("5.png", 20, 1)]


def test_progress_ends_with_all_files(tmp_path):
    seen = []
    check_images(tmp_path, [draw(tmp_path, "0.png", 0)], on_progress=lambda *n: seen.append(n))
    assert seen == [(1, 1), (1, 1)]


def test_without_images_there_is_nothing_to_say(tmp_path):
    assert check_images(tmp_path, []).files == 0
