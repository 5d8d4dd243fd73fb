import numpy as np
from PIL import Image

from visual_taxonomy.synthetic.canvas import FLAT, SUPERSAMPLING, Canvas, Pen
from visual_taxonomy.synthetic.outlines import at

SQUARE = [(-20, 20), (20, 20), (20, 60), (-20, 60)]


def canvas_of(size: int = 40) -> Canvas:
    return Canvas(size, middle=0, top=0, height=80)


def array_of(canvas: Canvas) -> np.ndarray:
    return np.asarray(canvas.image)


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


def test_cloth_takes_its_colours_from_the_same_place_of_an_image():
    canvas = canvas_of()
    image = Image.new("RGBX", canvas.image.size, (10, 20, 30, 255))
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


def test_cloth_beside_the_image_leaves_no_mark():
    canvas = canvas_of()
    canvas.cloth(np.array(SQUARE) + 500, Image.new("RGBX", canvas.image.size, (9, 9, 9, 255)))
    assert not array_of(canvas).any()


def test_cloth_that_reaches_over_the_border_is_cut_there():
    canvas = canvas_of()
    cloth = Image.new("RGBX", canvas.image.size, (9, 8, 7, 255))
    canvas.cloth([(-500, -500), (500, -500), (500, 500), (-500, 500)], cloth)
    assert (array_of(canvas) == (9, 8, 7, 255)).all()


def test_edges_of_cloth_are_in_the_shade_and_its_middle_is_not():
    canvas = Canvas(160, middle=0, top=0, height=80)
    canvas.cloth(SQUARE, (200, 200, 200), depth=0.6)
    relief = np.asarray(canvas.relief(np.random.default_rng(0), wrinkles=0))
    assert relief.shape == (80, 60)
    assert relief[40, 10] < FLAT * 0.85  # x = -20, the left edge
    assert relief[40, 30] >= FLAT - 2


def test_a_fold_is_dark_on_its_line_and_light_beside_it():
    canvas = Canvas(160, middle=0, top=0, height=80)
    canvas.fold([(0, 10), (0, 70)], strength=1.0, width=5)
    relief = np.asarray(canvas.relief(np.random.default_rng(0), wrinkles=0))[40]
    assert abs(int(relief.argmin()) - 29) <= 2
    assert 34 <= int(relief.argmax()) <= 42  # 6 units or more, at one pixel a unit, to the right
    assert relief.min() < FLAT - 20 < FLAT + 7 < relief.max()


def test_opaque_cloth_hides_the_folds_below():
    canvas = Canvas(160, middle=0, top=0, height=80)
    canvas.fold([(0, 30), (0, 50)], strength=1.0)
    canvas.cloth(SQUARE, (200, 200, 200), depth=0)
    assert np.ptp(np.asarray(canvas.relief(np.random.default_rng(0), wrinkles=0))) <= 1


def test_without_folds_and_wrinkles_the_light_is_even():
    relief = canvas_of().relief(np.random.default_rng(0), wrinkles=0)
    assert set(np.asarray(relief).ravel().tolist()) == {FLAT}


def test_lines_dots_and_fills_paint_their_colour():
    canvas = canvas_of()
    canvas.line([(-20, 10), (20, 10)], (1, 0, 0), 4)
    canvas.dots([(0, 30)], (2, 0, 0), 5)
    canvas.dots([(0, 50)], (3, 0, 0), 10, 4)
    canvas.fill([(-5, 60), (5, 60), (5, 70), (-5, 70)], (4, 0, 0))
    reds = [array_of(canvas)[y, 30, 0] for y in (10, 30, 50, 65)]
    assert reds == [1, 2, 3, 4]
    assert array_of(canvas)[56, 30, 3] == 0  # beyond the flat ellipse


def test_a_script_draws_what_the_tools_do():
    ink = (9, 8, 7)
    by_hand, scripted = canvas_of(), canvas_of()
    by_hand.line([(-20, 10), (20, 10)], ink, 4)
    by_hand.cloth([(0, 30), (5, 40), (0, 50), (-5, 40)], ink, depth=0.2)
    for side in (-1, 1):
        by_hand.dots([(side * 15, 60)], ink, 3, 2)
    scripted.draw(
        """
        line ink 4 : -20,10 20,10
        cloth ink 0.2 half : 0,30 5,40 0,50
        dot ink 3 2 both : 15,60""",
        {"ink": ink},
    )
    np.testing.assert_array_equal(array_of(by_hand), array_of(scripted))
    np.testing.assert_array_equal(
        by_hand.relief(np.random.default_rng(0)), scripted.relief(np.random.default_rng(0))
    )


def test_a_script_is_drawn_at_every_place_in_its_units():
    pen = Pen(Image.new("RGB", (40, 20)), scale=1, origin=(0, 0))
    pen.draw("fill ink : 0,0 2,0 2,1 0,1", {"ink": (5, 0, 0)}, at((2, 2), (20, 2), wide=4))
    rows, columns = np.nonzero(np.asarray(pen.image)[..., 0])
    assert (rows.min(), rows.max()) == (2, 6)
    assert sorted(set(columns.tolist())) == [*range(2, 11), *range(20, 29)]
