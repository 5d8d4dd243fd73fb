import numpy as np
import pytest

from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.figure import (
    ARM_LENGTH,
    SHOULDER,
    arm_path,
    draw_arms,
    draw_back_hair,
    draw_head,
    draw_leggings,
    draw_torso,
    draw_trousers,
    limb,
    meet_person,
)


def canvas_of() -> Canvas:
    return Canvas(120, middle=0, top=-20, height=780)


def painted(draw, *arguments) -> np.ndarray:
    canvas = canvas_of()
    draw(canvas, *arguments)
    return np.asarray(canvas.image)


@pytest.mark.parametrize(("upper", "lower"), [(0, 0), (30, 30), (45, 20)])
def test_an_arm_starts_at_the_shoulder_and_is_as_long_as_arms_are(upper, lower):
    path = arm_path(1, upper, lower)
    steps = np.hypot(*np.diff(path, axis=0).T)
    assert path[0].tolist() == list(SHOULDER)
    np.testing.assert_allclose(steps, ARM_LENGTH / 40)


def test_a_straight_arm_points_where_its_angle_says():
    reach = arm_path(1, 30, 30)[-1] - SHOULDER
    np.testing.assert_allclose(reach, ARM_LENGTH * np.array([0.5, np.sqrt(3) / 2]))


def test_the_arms_mirror_each_other():
    np.testing.assert_allclose(arm_path(-1, 20, 10), arm_path(1, 20, 10) * (-1, 1))


def test_a_limb_is_as_wide_as_asked_on_both_sides():
    outline = limb(np.array([[0.0, 0], [0, 10], [0, 20]]), np.array([3.0, 2, 1]))
    assert outline.tolist() == [[3, 0], [2, 10], [1, 20], [-1, 20], [-2, 10], [-3, 0]]


def test_reach_sets_the_arm_on_the_right_alone():
    person = meet_person(np.random.default_rng(0), woman=True, reach=40)
    assert person.arms[1][-1, 0] > 200
    assert person.arms[0][-1, 0] > -200


def test_people_differ():
    people = [meet_person(np.random.default_rng(seed), woman=True) for seed in range(20)]
    assert len({person.skin for person in people}) >= 3
    assert len({person.hair for person in people}) >= 3


@pytest.mark.parametrize("woman", [True, False])
@pytest.mark.parametrize("draw", [draw_head, draw_torso, draw_arms])
def test_parts_of_the_body_show_skin(draw, woman):
    person = meet_person(np.random.default_rng(3), woman)
    pixels = painted(draw, person)
    skin = (pixels == (*person.skin, 255)).all(axis=2)
    assert skin.sum() > 0.2 * (pixels[..., 3] > 0).sum()


def test_arms_lie_on_both_sides_of_the_body():
    pixels = painted(draw_arms, meet_person(np.random.default_rng(3), woman=True))
    columns = np.nonzero(pixels[..., 3].any(axis=0))[0]
    assert columns.min() < 90 < columns.max()
    assert not pixels[:, 85:95, 3].any()


def test_only_women_wear_long_hair_or_a_bun():
    man = meet_person(np.random.default_rng(0), woman=False)
    assert not painted(draw_back_hair, man).any()
    areas = [
        (
            painted(draw_back_hair, meet_person(np.random.default_rng(i), woman=True))[..., 3] > 0
        ).sum()
        for i in range(12)
    ]
    assert min(areas) > 0
    assert max(areas) > 3 * min(areas)


def test_trousers_and_leggings_reach_down_to_the_feet():
    trousers = painted(draw_trousers, np.random.default_rng(0), True)
    leggings = painted(draw_leggings, (250, 250, 250), (200, 150, 120))
    for pixels in (trousers, leggings):
        rows = np.nonzero(pixels[..., 3].any(axis=1))[0] / 240 * 780 - 20
        assert rows.min() > 300
        assert rows.max() > 680
