import numpy as np
import pytest

from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.fabrics import woven
from visual_taxonomy.synthetic.garments import FITS, HEMS, SLEEVES, Cut, draw_garment
from visual_taxonomy.synthetic.labels import synthetic_taxonomy
from visual_taxonomy.synthetic.wearers import meet_wearer

TASKS = synthetic_taxonomy().tasks
WORN_LOOSE = [task for task in TASKS if task.category != "Sarees"]
NECKS = sorted(
    {
        label
        for task in WORN_LOOSE
        if task.attribute in ("neck", "neck_collar")
        for label in set(task.classes) - {"default"}
    }
)


def garment(neck="round", fit="regular", hem=388.0, sleeve=0.34, styling="regular") -> np.ndarray:
    """[H, W, 4] a red garment at one pixel a body unit, nobody in it."""
    rng = np.random.default_rng(4)
    canvas = Canvas(350, middle=0, top=0, height=700)
    wearer = meet_wearer(rng, woman=True, reach=12.0)
    cut = Cut(neck, fit, hem, sleeve, styling)
    draw_garment(canvas, wearer, woven(canvas, "red", rng), cut, (200, 150, 120), rng)
    return np.asarray(canvas.image).astype(int)


def area(**measures) -> int:
    return int((garment(**measures)[..., 3] > 0).sum())


@pytest.mark.parametrize("attribute", ["fit_shape", "length", "sleeve_length"])
def test_every_class_has_its_measure(attribute):
    table = {"fit_shape": FITS, "length": HEMS, "sleeve_length": SLEEVES}[attribute]
    for task in WORN_LOOSE:
        if task.attribute == attribute:
            assert set(task.classes) - {"default"} <= table.keys()


@pytest.mark.parametrize("neck", NECKS)
def test_a_trunk_runs_from_the_neckline_to_the_hem(neck):
    half = Cut(neck, "regular", 390, 0.3).trunk(woman=True)
    assert half[0, 0] == half[-1, 0] == 0
    assert 90 < half[0, 1] < 200
    assert half[-1, 1] == 398
    assert half[:, 0].min() >= 0


def test_necklines_differ_in_depth():
    depth = {neck: Cut(neck, "regular", 390, 0.3).trunk(woman=True)[0, 1] for neck in NECKS}
    assert depth["high"] < depth["round"] < depth["square neck"] < depth["v-neck"]


def test_no_two_necks_look_alike():
    looks = {neck: garment(neck) for neck in NECKS if neck != "round neck"}
    for one in looks:
        for other in looks:
            if one < other:
                assert (np.abs(looks[one] - looks[other]).max(axis=2) > 30).sum() > 60, (one, other)


def test_a_keyhole_shows_what_is_below():
    pixels = garment("stylised").reshape(-1, 4)
    assert (pixels == (200, 150, 120, 255)).all(axis=1).sum() > 200


def test_wider_fits_longer_hems_and_longer_sleeves_take_more_cloth():
    for measures in (
        [{"fit": fit} for fit in ("fitted", "regular", "loose")],
        [{"hem": float(HEMS[name])} for name in ("crop", "regular", "long", "calf length")],
        [{"sleeve": SLEEVES[name]} for name in SLEEVES],
    ):
        areas = [area(**each) for each in measures]
        assert min(np.diff(areas)) > 0.05 * areas[0]


def test_an_a_line_flares_below_the_hip():
    straight, flared = (Cut("round", fit, 632, 0.7).wide for fit in ("straight", "a-line"))
    assert flared > 1.5 * straight


def test_puff_and_bell_sleeves_are_wider_than_regular_ones():
    regular, puff, bell = (
        area(sleeve=0.7, styling=styling) for styling in ("regular", "puff sleeves", "bell sleeves")
    )
    assert min(puff, bell) > 1.05 * regular


def test_a_cuff_changes_the_end_of_the_sleeve_not_its_shape():
    regular, cuffed = garment(sleeve=0.5), garment(sleeve=0.5, styling="cuffed sleeves")
    assert (regular[..., 3] != cuffed[..., 3]).mean() < 0.002
    assert (np.abs(regular - cuffed).max(axis=2) > 40).sum() > 200
