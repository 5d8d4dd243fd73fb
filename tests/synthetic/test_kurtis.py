import numpy as np
import pytest

from visual_taxonomy.synthetic.kurtis import draw_kurti
from visual_taxonomy.synthetic.labels import synthetic_taxonomy

TAXONOMY = synthetic_taxonomy()


def red(seed: int = 1, **changes: str) -> np.ndarray:
    """[H, W] where a plain red kurti without ornaments shows red cloth."""
    labels = {
        name: TAXONOMY.task("Kurtis", name).classes[0] for name in TAXONOMY.attributes("Kurtis")
    }
    labels |= {"color": "red", "pattern": "solid", "print_or_pattern_type": "solid"} | changes
    pixels = np.asarray(draw_kurti(labels, np.random.default_rng(seed), 160).image).astype(int)
    return (pixels[..., 0] > 150) & (pixels[..., 1] < 80) & (pixels[..., 2] < 80)


@pytest.mark.parametrize("seed", range(6))
def test_cloth_covers_the_middle_of_the_picture(seed):
    assert red(seed)[120:200, 105:135].mean() > 0.8


def test_calf_length_reaches_further_down_than_knee_length():
    knee, calf = (
        np.nonzero(red(length=name).any(axis=1))[0].max() for name in ("knee length", "calf length")
    )
    assert calf > knee + 30


def test_an_a_line_is_wider_at_the_hem_than_a_straight_one():
    straight, flared = (red(fit_shape=name)[200].sum() for name in ("straight", "a-line"))
    assert flared > 1.15 * straight


def test_sleeves_take_cloth_in_the_order_of_their_lengths():
    names = ("sleeveless", "short sleeves", "three-quarter sleeves", "long sleeves")
    shares = [red(sleeve_length=name).sum() for name in names]
    assert shares == sorted(shares)
    assert np.diff(shares).min() > 150


def test_bell_sleeves_are_wider():
    assert red(sleeve_styling="bell sleeves").sum() > red(sleeve_styling="regular").sum() + 150


@pytest.mark.parametrize("ornament", ["embroidery", "lace", "default"])
def test_an_ornament_covers_some_cloth(ornament):
    plain, ornamented = red(ornamentation="none"), red(ornamentation=ornament)
    assert 30 < (plain & ~ornamented).sum() < 0.3 * plain.sum()


def test_legs_and_feet_are_below_the_hem():
    labels = {
        name: TAXONOMY.task("Kurtis", name).classes[0] for name in TAXONOMY.attributes("Kurtis")
    }
    labels["length"] = "knee length"
    alpha = np.asarray(draw_kurti(labels, np.random.default_rng(0), 160).image)[..., 3]
    assert (alpha[250:300] > 0).any(axis=1).all()
