import numpy as np
import pytest

from visual_taxonomy.synthetic.labels import synthetic_taxonomy
from visual_taxonomy.synthetic.tops import (
    draw_men_tshirt,
    draw_women_top,
    draw_women_tshirt,
)

TAXONOMY = synthetic_taxonomy()
DRAWINGS = {
    "Men Tshirts": draw_men_tshirt,
    "Women Tshirts": draw_women_tshirt,
    "Women Tops & Tunics": draw_women_top,
}


def red_share(category: str, seed: int = 1, **changes: str) -> float:
    """How much of the picture is red cloth: a plain red garment, but for changes."""
    return float(red(category, seed, **changes).mean())


def red(category: str, seed: int = 1, **changes: str) -> np.ndarray:
    labels = {
        name: TAXONOMY.task(category, name).classes[0] for name in TAXONOMY.attributes(category)
    }
    labels |= {"color": "red", "pattern": "solid", "print_or_pattern_type": "solid"} | changes
    canvas = DRAWINGS[category](labels, np.random.default_rng(seed), 120)
    pixels = np.asarray(canvas.image).astype(int)
    return (pixels[..., 0] > 150) & (pixels[..., 1] < 80) & (pixels[..., 2] < 80)


@pytest.mark.parametrize("category", DRAWINGS)
@pytest.mark.parametrize("seed", range(6))
def test_cloth_covers_the_middle_of_the_picture(category, seed):
    mask = red(category, seed)
    assert mask[110:150, 60:120].mean() > 0.7
    assert 0.12 < mask.mean() < 0.6


@pytest.mark.parametrize("category", DRAWINGS)
def test_some_garments_are_worn_and_some_are_not(category):
    labels = {
        name: TAXONOMY.task(category, name).classes[0] for name in TAXONOMY.attributes(category)
    }
    alphas = [
        np.asarray(DRAWINGS[category](labels, np.random.default_rng(seed), 60).image)[
            -1, :, 3
        ].any()
        for seed in range(20)
    ]
    assert 0.3 < np.mean(alphas) < 1


@pytest.mark.parametrize("category", DRAWINGS)
def test_long_sleeves_take_more_cloth_than_short_ones(category):
    short = red_share(category, sleeve_length="short sleeves")
    assert red_share(category, sleeve_length="long sleeves") > 1.15 * short


def test_longer_tshirts_take_more_cloth():
    shares = [red_share("Women Tshirts", length=name) for name in ("crop", "regular", "long")]
    assert shares == sorted(shares)
    assert shares[2] > 1.4 * shares[0]


def test_wider_fits_take_more_cloth():
    fits = ("fitted", "regular", "boxy")
    shares = [red_share("Women Tops & Tunics", fit_shape=name) for name in fits]
    assert shares == sorted(shares)
    assert shares[2] > 1.2 * shares[0]


def test_a_pocket_lies_on_one_side_of_the_chest():
    plain = red("Men Tshirts", pocket="no pocket")
    difference = plain != red("Men Tshirts", pocket="patch pocket")
    _, columns = np.nonzero(difference)
    assert difference.sum() > 20
    assert columns.min() > 90


@pytest.mark.parametrize(
    "surface", ["knitted", "ruffles", "tie-ups", "waist tie-ups", "applique", "default"]
)
def test_what_is_sewn_on_covers_some_cloth(surface):
    plain = red("Women Tops & Tunics", surface_styling="none")
    decorated = red("Women Tops & Tunics", surface_styling=surface)
    assert 30 < (plain & ~decorated).sum() < 0.6 * plain.sum()
