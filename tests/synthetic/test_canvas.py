import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.synthetic.canvas import SUPERSAMPLING, Canvas, curve, mirrored, offset

SQUARE = [(-20, 20), (20, 20), (20, 60), (-20, 60)]


def canvas_of(size: int = 40) -> Canvas:
    return Canvas(size, middle=0, top=0, height=80)


def array_of(canvas: Canvas) -> np.ndarray:
    return np.asarray(canvas.image)


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
    radii = np.hypot(*offset(circle, 3.0).T)  # clockwise on the picture: right is inside
    np.testing.assert_allclose(radii, 7, atol=1e-3)


def test_a_line_can_be_offset_by_another_distance_at_every_point():
    line = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert offset(line, np.array([1.0, 2, 3])).tolist() == [[0, 1], [1, 2], [2, 3]]


def test_body_units_land_on_the_pixels_of_the_view():
    canvas = Canvas(40, middle=10, top=5, height=80)
    corners = canvas.pixels([(10 - 30, 5), (10 + 30, 85)])
    assert corners.tolist() == [[0, 0], [30 * SUPERSAMPLING, 40 * SUPERSAMPLING]]


def test_cloth_is_opaque_inside_its_outline_and_absent_outside():
    canvas = canvas_of()
    canvas.cloth(SQUARE, (200, 30, 40))
    pixels = array_of(canvas)
    assert pixels[40, 30].tolist() == [200, 30, 40, 255]
    assert pixels[10, 30].tolist() == [0, 0, 0, 0]


def test_cloth_takes_its_colours_from_the_same_place_of_a_picture():
    canvas = canvas_of()
    image = canvas.plain((10, 20, 30))
    image.putpixel((30, 40), (250, 240, 230, 255))
    canvas.cloth(SQUARE, image)
    pixels = array_of(canvas)
    assert pixels[40, 30].tolist() == [250, 240, 230, 255]
    assert pixels[45, 30].tolist() == [10, 20, 30, 255]


def test_sheer_cloth_lets_half_of_what_is_below_through():
    canvas = canvas_of()
    canvas.cloth(SQUARE, (200, 100, 0))
    canvas.cloth(SQUARE, (0, 100, 200), opacity=0.5)
    np.testing.assert_allclose(array_of(canvas)[40, 30], (100, 100, 100, 255), atol=2)


def test_sheer_cloth_on_nothing_covers_half_and_holds_half_its_colour():
    canvas = canvas_of()
    canvas.cloth(SQUARE, (0, 100, 200), opacity=0.5)
    np.testing.assert_allclose(array_of(canvas)[40, 30], (0, 50, 100, 128), atol=2)


def test_cloth_beside_the_picture_leaves_no_mark():
    canvas = canvas_of()
    canvas.cloth(np.array(SQUARE) + 500, canvas.plain((9, 9, 9)))
    assert not array_of(canvas).any()


def test_cloth_that_reaches_over_the_border_is_cut_there():
    canvas = canvas_of()
    canvas.cloth([(-500, -500), (500, -500), (500, 500), (-500, 500)], canvas.plain((9, 8, 7)))
    assert (array_of(canvas) == (9, 8, 7, 255)).all()


def test_edges_of_cloth_are_in_the_shade_and_its_middle_is_not():
    canvas = Canvas(160, middle=0, top=0, height=80)
    canvas.cloth(SQUARE, (200, 200, 200), depth=0.6)
    shade = np.asarray(canvas.finish(np.random.default_rng(0), wrinkles=0).shade)
    assert shade.shape == (80, 60)
    assert shade[40, 10] < 210  # x = -20, the left edge
    assert shade[40, 30] > 250


def test_a_fold_is_dark_on_its_line_and_light_beside_it():
    canvas = Canvas(160, middle=0, top=0, height=80)
    canvas.fold([(0, 10), (0, 70)], strength=1.0, width=5)
    figure = canvas.finish(np.random.default_rng(0), wrinkles=0)
    shade, light = np.asarray(figure.shade)[40], np.asarray(figure.light)[40]
    assert abs(int(shade.argmin()) - 30) <= 1
    assert 34 <= int(light.argmax()) <= 38  # 6 units, at one map pixel a unit, to the right


def test_a_figure_without_folds_and_wrinkles_keeps_all_light():
    figure = canvas_of().finish(np.random.default_rng(0), wrinkles=0)
    assert np.asarray(figure.shade).min() == 255
    assert np.asarray(figure.light).max() == 0


def test_lines_dots_ovals_and_fills_paint_their_colour():
    canvas = canvas_of()
    canvas.line([(-20, 10), (20, 10)], (1, 0, 0), 4)
    canvas.dots([(0, 30)], 5, (2, 0, 0))
    canvas.oval((0, 50), 10, 4, (3, 0, 0))
    canvas.fill([(-5, 60), (5, 60), (5, 70), (-5, 70)], (4, 0, 0))
    reds = [array_of(canvas)[y, 30, 0] for y in (10, 30, 50, 65)]
    assert reds == [1, 2, 3, 4]


def test_several_outlines_are_filled_at_once():
    one, both = canvas_of(), canvas_of()
    square = np.array([(-5, -5), (5, -5), (5, 5), (-5, 5)])
    squares = square + np.array([[(0, 20)], [(0, 60)]])
    for square in squares:
        one.fill(square, (4, 5, 6))
    both.fill(squares, (4, 5, 6))
    np.testing.assert_array_equal(array_of(one), array_of(both))
    assert array_of(both)[20, 30, 0] == array_of(both)[60, 30, 0] == 4


def test_a_tile_is_pasted_where_it_is_opaque():
    canvas = canvas_of()
    tile = Image.new("RGBA", (4, 4))
    tile.putpixel((1, 2), (9, 8, 7, 255))
    canvas.paste(tile, (10, 10))
    assert array_of(canvas)[12, 11].tolist() == [9, 8, 7, 255]
    assert (array_of(canvas)[..., 3] > 0).sum() == 1
