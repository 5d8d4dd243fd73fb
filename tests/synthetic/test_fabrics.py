import numpy as np
import pytest

from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.fabrics import CHEST, add_motifs, decorate, woven
from visual_taxonomy.synthetic.labels import synthetic_taxonomy

PRINTS = sorted(
    {
        label
        for task in synthetic_taxonomy().tasks
        if task.attribute == "print_or_pattern_type"
        for label in task.classes
    }
)


def canvas_of(size: int = 160) -> Canvas:
    return Canvas(size, middle=0, top=20, height=440)


def changed(print_type: str) -> np.ndarray:
    """[H, W] where a print differs from the plain cloth."""
    fabric = woven(canvas_of(), "blue", np.random.default_rng(1))
    before = np.asarray(fabric.pen.image).copy()
    decorate(fabric, print_type, fabric.inks, np.random.default_rng(2))
    return (np.asarray(fabric.pen.image) != before).any(axis=2)


def test_plain_cloth_is_cut_as_its_colour_until_somebody_draws_on_it():
    fabric = woven(canvas_of(), "red", np.random.default_rng(0))
    assert fabric.cut == fabric.base
    assert fabric.pen.image.getcolors() == [(240 * 320, (*fabric.base, 255))]
    fabric.pen.image.putpixel((3, 4), (9, 8, 7, 255))
    assert fabric.cut.getpixel((3, 4)) == (9, 8, 7, 255)


def test_multicolour_cloth_shows_at_least_three_colours_broadly():
    for seed in range(10):
        image = woven(canvas_of(), "multicolor", np.random.default_rng(seed)).pen.image
        shares = sorted(count / (240 * 320) for count, _ in image.getcolors())
        assert sum(share > 0.05 for share in shares) >= 3


def test_solid_adds_nothing():
    assert not changed("solid").any()


@pytest.mark.parametrize(
    "print_type", sorted({*PRINTS, "dots", "waves", "panels"} - {"solid", "default"})
)
def test_every_print_type_covers_a_fair_part_of_the_cloth(print_type):
    assert 0.015 < changed(print_type).mean() < 0.95


@pytest.mark.parametrize("print_type", ["typography", "graphic", "quirky"])
def test_a_chest_print_stays_on_the_chest(print_type):
    rows, columns = np.nonzero(changed(print_type))
    scale = 320 / 440
    assert rows.min() > (CHEST[1] - 45 - 20) * scale
    assert rows.max() < (390 - 20) * scale
    assert np.abs(columns - 120).max() < 75 * scale


@pytest.mark.parametrize("print_type", ["floral", "stripes", "checked", "funky print"])
def test_an_all_over_print_reaches_every_quarter_of_the_cloth(print_type):
    mask = changed(print_type)
    for rows in (slice(0, 160), slice(160, 320)):
        for columns in (slice(0, 120), slice(120, 240)):
            assert mask[rows, columns].mean() > 0.05


def test_stripes_run_across():
    mask = changed("stripes")
    assert set(mask.mean(axis=1).tolist()) == {0.0, 1.0}


def test_a_motif_covers_as_much_as_its_size_and_spacing_say():
    fabric = woven(canvas_of(), "white", np.random.default_rng(0))
    add_motifs(fabric, "dot", 40, ((9, 9, 9),) * 3, np.random.default_rng(0))
    dark = (np.asarray(fabric.pen.image)[..., 0] < 50).mean()
    # a disc of 0.52 in a square cell 1.05 to 1.35 times its size
    assert np.pi / 4 * (0.52 / 1.35) ** 2 * 0.9 < dark < np.pi / 4 * (0.52 / 1.05) ** 2 * 1.1
