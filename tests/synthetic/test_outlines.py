import numpy as np
import pytest

from visual_taxonomy.synthetic.outlines import along, at, curve, limb, mirrored, offset


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_curve_passes_through_its_points(steps):
    points = np.array([(0, 0), (3, 1), (4, 5), (9, 2.0)])
    line = curve(points, steps)
    assert line.shape == (3 * steps + 1, 2)
    np.testing.assert_allclose(line[::steps], points)


def test_a_curve_through_points_on_a_line_stays_on_it():
    line = curve([(0, 0), (1, 2), (2, 4), (3, 6)])
    np.testing.assert_allclose(line[:, 1], 2 * line[:, 0])


def test_a_mirrored_outline_is_its_own_mirror_image():
    outline = mirrored([(0, 0), (5, 2), (3, 9), (0, 10)])
    np.testing.assert_allclose(outline[::-1] * (-1, 1), outline)


def test_an_offset_circle_is_a_circle_of_another_radius():
    angles = np.linspace(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 10
    radii = np.hypot(*offset(circle, 3.0).T)  # clockwise on the image: right is inside
    np.testing.assert_allclose(radii, 7, atol=1e-2)


def test_a_line_can_be_offset_by_another_distance_at_every_point():
    line = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert offset(line, np.array([1.0, 2, 3])).tolist() == [[0, 1], [1, 2], [2, 3]]


def test_a_limb_is_as_wide_as_asked_on_both_sides():
    outline = limb(np.array([[0.0, 0], [0, 10]]), 2.0)
    assert outline.tolist() == [[2, 0], [2, 10], [-2, 10], [-2, 0]]


def test_places_along_a_line_are_even_and_turn_with_it():
    places = along(np.array([[0.0, 0], [30, 0], [30, 30]]), spacing=10, size=4)
    assert places[:, 2].tolist() == [[5, 0], [15, 0], [25, 0], [30, 5], [30, 15], [30, 25]]
    assert places[0, :2].tolist() == [[4, 0], [0, 4]]  # y: down the image, right of the line
    np.testing.assert_allclose(places[-1, :2], [[0, 4], [-4, 0]], atol=1e-9)


def test_places_can_be_wider_than_high():
    assert at((1, 2), (3, 4), wide=5, high=6)[1].tolist() == [[5, 0], [0, 6], [3, 4]]
