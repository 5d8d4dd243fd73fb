import numpy as np
import pytest

from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.fabrics import woven
from visual_taxonomy.synthetic.figure import meet_person
from visual_taxonomy.synthetic.labels import synthetic_taxonomy
from visual_taxonomy.synthetic.tailoring import SLEEVES, draw_neck, draw_sleeves, trunk

TAXONOMY = synthetic_taxonomy()
NECKS = sorted(
    {
        label
        for task in TAXONOMY.tasks
        if task.attribute in ("neck", "neck_collar")
        for label in task.classes
    }
    - {"default"}
)


def sleeves(share: float, cut: str) -> np.ndarray:
    """[H, W] where sleeves are, at one pixel a body unit."""
    rng = np.random.default_rng(4)
    canvas = Canvas(240, middle=0, top=0, height=480)
    person = meet_person(rng, woman=True)
    draw_sleeves(canvas, person, woven(canvas, "red", rng), share, cut, 76.0)
    return np.asarray(canvas.image)[..., 3] > 0


def neck(name: str) -> np.ndarray:
    rng = np.random.default_rng(4)
    canvas = Canvas(240, middle=0, top=0, height=480)
    draw_neck(canvas, name, woven(canvas, "red", rng), (200, 150, 120), rng)
    return np.asarray(canvas.image)


@pytest.mark.parametrize("name", NECKS)
def test_a_trunk_runs_from_the_neckline_to_the_hem(name):
    half = trunk(name, 60, (70, 390), 80)
    assert half[0, 0] == 0
    assert half[-1].tolist() == [0, 396]
    assert 90 < half[0, 1] < 200
    assert half[:, 0].max() == 85
    assert half[:, 0].min() >= 0


def test_necklines_differ_in_depth():
    depth = {name: trunk(name, 60, (70, 390), 80)[0, 1] for name in NECKS}
    assert depth["high"] < depth["round"] < depth["square neck"] < depth["v-neck"]


@pytest.mark.parametrize("task", TAXONOMY.tasks, ids=lambda task: task.name)
def test_every_class_of_sleeve_length_has_its_share_of_the_arm(task):
    if task.attribute == "sleeve_length":
        assert set(task.classes) - {"default"} <= SLEEVES.keys()


def test_longer_sleeves_reach_further_down():
    names = ("cap", "short sleeves", "three-quarter sleeves", "long sleeves")
    lows = [np.nonzero(sleeves(SLEEVES[name], "regular").any(axis=1))[0].max() for name in names]
    assert np.diff(lows).min() > 20


def test_puff_and_bell_sleeves_are_wider_than_regular_ones():
    regular, puff, bell = (
        sleeves(0.7, cut).sum() for cut in ("regular", "puff sleeves", "bell sleeves")
    )
    assert puff > 1.2 * regular
    assert bell > 1.15 * regular


def test_a_cuff_changes_the_end_of_the_sleeve_not_its_shape():
    regular, cuffed = sleeves(0.5, "regular"), sleeves(0.5, "cuffed sleeves")
    assert (regular != cuffed).mean() < 0.002


def test_sleeves_lie_on_both_sides():
    columns = np.nonzero(sleeves(0.4, "regular").any(axis=0))[0]
    assert columns.min() < 110
    assert columns.max() > 250


@pytest.mark.parametrize("name", NECKS)
def test_every_neck_leaves_a_mark_near_the_neck(name):
    rows, columns = np.nonzero(neck(name)[..., 3])
    assert len(rows) > 80
    assert rows.min() > 80
    assert rows.max() < 240
    assert abs(columns.mean() - 180) < 8


def test_no_two_necks_look_alike():
    looks = {name: neck(name).astype(int) for name in NECKS if name != "round neck"}
    for one in looks:
        for other in looks:
            if one < other:
                assert (np.abs(looks[one] - looks[other]).max(axis=2) > 30).sum() > 60, (one, other)


def test_a_keyhole_shows_what_is_below():
    pixels = neck("stylised").reshape(-1, 4)
    assert (pixels == (200, 150, 120, 255)).all(axis=1).sum() > 200
