import numpy as np
import pytest

from visual_taxonomy.synthetic.labels import synthetic_taxonomy
from visual_taxonomy.synthetic.products import draw_figure

TAXONOMY = synthetic_taxonomy()
PLAIN = {
    "color": "green", "border": "no border", "border_width": "no border", "pattern": "solid",
    "print_or_pattern_type": "solid", "pallu_details": "same as saree", "blouse_pattern": "solid",
    "sleeve_length": "short sleeves", "ornamentation": "none", "transparency": "no",
}  # fmt: skip


def saree(seed: int = 1, **changes: str) -> np.ndarray:
    """[H, W, 4] a plain green saree, but for changes."""
    chance = (np.random.default_rng(seed), np.random.default_rng(0))
    canvas = draw_figure("Sarees", PLAIN | changes, *chance, 160)
    return np.asarray(canvas.image).astype(int)


def changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).max(axis=2) > 40


def test_the_plain_saree_names_every_attribute():
    assert tuple(PLAIN) == TAXONOMY.attributes("Sarees")


@pytest.mark.parametrize("seed", range(6))
def test_green_cloth_covers_skirt_and_pallu(seed):
    pixels = saree(seed)
    green = (pixels[..., 1] > pixels[..., 0] + 40) & (pixels[..., 3] > 0)
    assert green[150:280, 85:115].mean() > 0.8
    assert green[150:240, 150:170].mean() > 0.4


@pytest.mark.parametrize("border", ["zari", "woven design", "temple border", "solid", "default"])
def test_every_border_shows_and_a_big_one_more_than_a_small_one(border):
    plain = saree()
    small = changed(plain, saree(border=border, border_width="small border")).sum()
    big = changed(plain, saree(border=border, border_width="big border")).sum()
    assert small > 400
    assert big > 1.6 * small


def test_a_zari_border_is_gold():
    pixels = saree(border="zari", border_width="big border")
    hem = pixels[285:300, 70:130].reshape(-1, 4)
    hem = hem[hem[:, 3] > 0]
    assert np.median(hem[:, 0]) > 180
    assert np.median(hem[:, 2]) < 140


def test_no_two_borders_look_alike():
    looks = {
        border: saree(border=border, border_width="big border")
        for border in TAXONOMY.task("Sarees", "border").classes
    }
    for one in looks:
        for other in looks:
            if one < other:
                assert changed(looks[one], looks[other]).sum() > 250, (one, other)


@pytest.mark.parametrize("details", ["zari woven", "woven design", "default"])
def test_pallu_details_change_the_lower_pallu_alone(details):
    rows, columns = np.nonzero(changed(saree(), saree(pallu_details=details)))
    assert len(rows) > 500
    assert rows.min() > 160
    assert columns.min() > 120


def test_a_sheer_saree_lets_the_backdrop_through():
    assert (saree()[..., 3] % 255).sum() == 0
    sheer = saree(transparency="yes")[..., 3]
    assert ((sheer > 0) & (sheer < 255)).sum() > 1000


@pytest.mark.parametrize("blouse", ["same as saree", "same as border", "default"])
def test_the_blouse_pattern_changes_the_blouse_alone(blouse):
    rows, _ = np.nonzero(changed(saree(), saree(blouse_pattern=blouse)))
    assert len(rows) > 60
    assert rows.max() < 120


def test_longer_sleeves_cover_more_of_the_arm():
    bare = saree(sleeve_length="sleeveless")
    short = changed(bare, saree(sleeve_length="short sleeves")).sum()
    long = changed(bare, saree(sleeve_length="three-quarter sleeves")).sum()
    assert long > 1.4 * short > 0


@pytest.mark.parametrize("ornaments", ["tassels and latkans", "sequins", "default"])
def test_ornaments_are_small_marks(ornaments):
    share = changed(saree(), saree(ornamentation=ornaments)).mean()
    assert 0.001 < share < 0.2
