from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from visual_taxonomy.data import duplicates
from visual_taxonomy.data.duplicates import fingerprint, fingerprints, group_near_duplicates

SHIRTS = [((200, 30, 30), "stripes"), ((200, 30, 30), "dot"), ((30, 60, 200), "stripes")]


def shirt(colour: tuple[int, int, int], print_: str, size: tuple[int, int] = (192, 256)):
    """A T-shirt on white: one cut, drawn in any colour, with stripes or a large dot."""
    image = Image.new("RGB", (192, 256), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((56, 60, 136, 220), fill=colour)
    draw.polygon([(56, 60), (20, 120), (40, 132), (60, 100)], fill=colour)
    draw.polygon([(136, 60), (172, 120), (152, 132), (132, 100)], fill=colour)
    if print_ == "stripes":
        for y in range(80, 220, 24):
            draw.rectangle((56, y, 136, y + 8), fill="white")
    else:
        draw.ellipse((66, 100, 126, 160), fill="white")
    return image.resize(size, Image.Resampling.LANCZOS)


def save(path: Path, image: Image.Image, quality: int = 92) -> Path:
    image.save(path, quality=quality)
    return path


def groups_of(paths: list[Path]) -> list[int]:
    return group_near_duplicates(fingerprints(paths, workers=2)).tolist()


def test_different_prints_and_colours_of_one_cut_are_different_products(tmp_path):
    paths = [save(tmp_path / f"{i}.jpg", shirt(*each)) for i, each in enumerate(SHIRTS)]
    assert groups_of(paths) == [0, 1, 2]


@pytest.mark.parametrize("each", SHIRTS)
@pytest.mark.parametrize(
    ("size", "quality"), [((192, 256), 60), ((96, 128), 90), ((384, 512), 90), ((120, 160), 60)]
)
def test_resizing_and_compressing_again_is_a_duplicate(tmp_path, each, size, quality):
    original = save(tmp_path / "a.png", shirt(*each))
    other = save(tmp_path / "b.jpg", shirt((0, 0, 0), "dot"))
    copy = save(tmp_path / "c.jpg", shirt(*each, size=size), quality)
    assert groups_of([original, other, copy]) == [0, 1, 0]


def test_noise_survives_compressing_again(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((360, 480), Image.Resampling.BICUBIC)
    paths = [save(tmp_path / "a.png", image), save(tmp_path / "b.jpg", image, 60)]
    assert groups_of(paths) == [0, 0]


def test_low_contrast_images_are_compared_by_their_contrast(tmp_path):
    paths = [
        save(tmp_path / f"{i}.jpg", shirt((236, 236, 240), print_))
        for i, print_ in enumerate(("dot", "stripes"))
    ]
    assert groups_of(paths) == [0, 1]


def test_unreadable_images_are_groups_of_their_own(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    black = save(tmp_path / "black.png", Image.new("RGB", (20, 20)))
    paths = [tmp_path / "broken.jpg", tmp_path / "none.jpg", black, tmp_path / "broken.jpg", black]
    assert groups_of(paths) == [0, 1, 2, 3, 2]


def test_a_fingerprint_holds_a_mark_and_the_mean_colours(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGB", (50, 70), (10, 20, 30)))
    assert fingerprint(path).tolist() == [1] + [10, 20, 30] * 256


def test_progress_ends_with_all_images(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGB", (4, 4)))
    seen = []
    prints = fingerprints([path] * 300, 2, lambda done, total: seen.append((done, total)))
    assert prints.shape == (300, 769)
    assert seen == [(256, 300), (300, 300)]


def test_a_file_of_several_names_is_decoded_once(tmp_path, monkeypatch):
    image = save(tmp_path / "0.png", shirt(*SHIRTS[0]))
    other = save(tmp_path / "1.png", shirt(*SHIRTS[1]))
    paths = [tmp_path / f"{k}.png" for k in range(600)]
    for path in paths[2:-1]:
        path.hardlink_to(image)
    paths[-1].symlink_to(other)
    decoded = []

    def decode(path: Path) -> np.ndarray:
        decoded.append(path)
        return fingerprint(path)

    monkeypatch.setattr(duplicates, "fingerprint", decode)
    prints = fingerprints([*paths, tmp_path / "none.png"], workers=2)
    assert decoded == [*paths[:2], tmp_path / "none.png"]
    assert (prints[:-2] == prints[[0, 1, *[0] * 597]]).all()
    assert (prints[-2] == prints[1]).all()
    assert (prints[-1] == 0).all()


def test_no_images_make_no_groups():
    assert group_near_duplicates(fingerprints([])).tolist() == []


def prints_with_planted_copies(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    prints = np.ones((count, 769), dtype=np.uint8)
    prints[:, 1:] = random.integers(20, 236, (count, 768))
    prints[::7, 0] = 0
    noise = random.integers(-5, 6, (count // 3, 768))
    prints[-(count // 3) :, 1:] = prints[: count // 3, 1:] + noise
    return prints


def test_groups_equal_those_of_comparing_all_pairs_one_by_one(monkeypatch):
    monkeypatch.setattr("visual_taxonomy.data.neighbours._LEAF", 16)
    prints = prints_with_planted_copies(150)
    thumbnails = prints[:, 1:].astype(np.float64)
    expected = list(range(150))
    for i in range(150):
        for j in range(i):
            if prints[i, 0] == 0 or prints[j, 0] == 0:
                continue
            difference = np.sqrt(((thumbnails[i] - thumbnails[j]) ** 2).mean())
            if difference <= max(0.1 * min(thumbnails[i].std(), thumbnails[j].std()), 2):
                low, high = sorted((expected[i], expected[j]))
                expected = [low if each == high else each for each in expected]
    assert group_near_duplicates(prints).tolist() == expected
    assert len(set(expected)) < 130


def test_groups_are_connected_components():
    prints = np.ones((6, 769), dtype=np.uint8)
    prints[:, 1:] = np.random.default_rng(0).integers(20, 200, 768)
    prints[:, 1:] += np.array([0, 5, 10, 15, 20, 55], dtype=np.uint8)[:, None]
    assert group_near_duplicates(prints).tolist() == [0, 0, 0, 0, 0, 5]


def test_the_order_of_the_rows_does_not_matter():
    prints = prints_with_planted_copies(90)
    order = np.random.default_rng(1).permutation(90)
    groups, shuffled = group_near_duplicates(prints), group_near_duplicates(prints[order])
    same = groups[order][:, None] == groups[order][None]
    assert ((shuffled[:, None] == shuffled[None]) == same).all()


def test_a_smaller_difference_makes_smaller_groups():
    prints = prints_with_planted_copies(90)
    assert len(set(group_near_duplicates(prints, 0.001))) == 90
    assert len(set(group_near_duplicates(prints))) < 80
