import numpy as np
import pytest

from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.wearers import draw_wearer, meet_wearer


def drawn(seed: int = 0, woman: bool = True, legs: str = "", reach: float = 12.0) -> np.ndarray:
    canvas = Canvas(400, middle=0, top=-40, height=800)  # one pixel a body unit
    draw_wearer(canvas, meet_wearer(np.random.default_rng(seed), woman, reach), legs)
    return np.asarray(canvas.image)


@pytest.mark.parametrize("woman", [True, False])
def test_a_wearer_stands_in_the_middle_and_is_about_as_wide_on_both_sides(woman):
    columns = np.nonzero(drawn(woman=woman)[..., 3].any(axis=0))[0] - 300
    assert -170 < columns.min() < -70
    assert 70 < columns.max() < 170


def test_wearers_differ():
    assert len({drawn(seed).tobytes() for seed in range(6)}) == 6


def test_a_woman_and_a_man_differ():
    assert (drawn(woman=True) != drawn(woman=False)).any()


def test_a_bare_wearer_ends_at_the_hips_and_legs_reach_the_ankles():
    lows = [np.nonzero(drawn(legs=legs)[..., 3].any(axis=1))[0].max() - 40
            for legs in ("", "trousers", "leggings")]  # fmt: skip
    assert lows[0] < 450
    assert lows[1] == pytest.approx(700, abs=10)
    assert lows[2] == pytest.approx(735, abs=10)


def test_a_held_out_arm_reaches_further_to_the_right():
    right = [np.nonzero(drawn(reach=reach)[..., 3].any(axis=0))[0].max() for reach in (10, 33)]
    assert right[1] > right[0] + 60
