import numpy as np
import pytest

from visual_taxonomy.synthetic.dyes import COLOURS, contrasting, dye, lightness, mix, shade_of
from visual_taxonomy.synthetic.labels import synthetic_taxonomy

DYES = sorted(
    {
        label
        for task in synthetic_taxonomy().tasks
        if task.attribute == "color"
        for label in task.classes
    }
    - {"multicolor"}
)


def test_every_class_of_color_has_dyes():
    assert set(DYES) <= COLOURS.keys()


@pytest.mark.parametrize("label", DYES)
def test_a_batch_of_dye_is_near_its_colour_and_no_two_are_alike(label):
    rng = np.random.default_rng(0)
    batches = np.array([dye(label, rng) for _ in range(20)])
    nearest = np.abs(batches[:, None] - np.array(COLOURS[label])).max(axis=2).min(axis=1)
    assert nearest.max() <= 7
    assert len(np.unique(batches, axis=0)) > 10
    assert batches.min() >= 0
    assert batches.max() <= 255


@pytest.mark.parametrize("one", DYES)
def test_dyes_of_two_classes_never_meet(one):
    if one == "default":
        return  # any colour without a name: told by being none of the others
    for other in set(DYES) - {one, "default"}:
        for a in COLOURS[one]:
            distances = np.abs(np.array(COLOURS[other]) - a).sum(axis=1)
            assert distances.min() > 2 * 7, (one, other)


@pytest.mark.parametrize("label", DYES)
def test_inks_stand_out_from_the_cloth(label):
    rng = np.random.default_rng(0)
    for _ in range(10):
        base = dye(label, rng)
        first = contrasting(base, rng)[0]
        assert np.abs(np.array(first) - base).sum() > 150


def test_inks_of_one_cloth_differ():
    assert len(set(contrasting((20, 20, 20), np.random.default_rng(0)))) == 3


@pytest.mark.parametrize("base", [(0, 0, 0), (30, 34, 60), (128, 128, 128), (250, 250, 250)])
def test_a_tone_of_a_colour_shows_on_it(base):
    assert abs(lightness(shade_of(base, 0.5)) - lightness(base)) > 40


def test_mixing_nothing_gives_the_first_and_all_the_second():
    assert mix((1, 2, 3), (9, 9, 9), 0) == (1, 2, 3)
    assert mix((1, 2, 3), (9, 9, 9), 1) == (9, 9, 9)
