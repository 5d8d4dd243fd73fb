import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.photograph import photograph


def figure_of(rgbx) -> Canvas:
    """A figure that fills the image, 90 x 120 when it is photographed, one unit a pixel."""
    canvas = Canvas(120, middle=0, top=0, height=120)
    canvas.image.paste(rgbx, (0, 0, *canvas.image.size))
    return canvas


def shots(figure: Canvas, count: int = 12) -> np.ndarray:
    return np.array([photograph(figure, np.random.default_rng(i)) for i in range(count)], float)


def middle(images: np.ndarray) -> np.ndarray:
    """[N, 3] mean colour of the middle, where any turned and moved figure is."""
    return images[:, 50:70, 35:55].mean(axis=(1, 2))


def test_an_image_has_half_the_sides_of_the_figure():
    assert photograph(figure_of((9, 9, 9, 255)), np.random.default_rng(0)).size == (90, 120)


def test_the_camera_keeps_colours_recognisable():
    colour = np.array((200, 60, 120))
    seen = middle(shots(figure_of((*colour, 255))))
    assert np.abs(seen / colour - 1).max() < 0.25
    assert seen.std(axis=0).min() > 2  # but never twice the same


def test_a_transparent_figure_leaves_the_backdrop_and_casts_no_shadow():
    images = shots(figure_of((0, 0, 0, 0)))
    assert images.mean() > 140
    assert np.abs(np.diff(images.mean(axis=3), axis=2)).mean() < 8


def test_a_figure_of_half_coverage_lets_half_of_the_backdrop_through():
    behind = middle(shots(figure_of((0, 0, 0, 0))))
    seen = middle(shots(figure_of((0, 0, 0, 128)))) / behind
    # half of a backdrop that half a shadow, 0.2 to 0.45 deep, takes another 0.1 to 0.23 from
    assert 0.37 < seen.min() <= seen.max() < 0.47


def test_backdrops_differ():
    corners = shots(figure_of((0, 0, 0, 0)), 20)[:, :10, :10].mean(axis=(1, 2))
    assert corners.std(axis=0).min() > 8


def test_a_fold_darkens_and_brightens_the_cloth_beside_it():
    plain, folded = figure_of((120, 120, 120, 255)), figure_of((120, 120, 120, 255))
    folded.fold([(0, 30), (0, 90)], strength=1.0, width=8)
    ratio = (shots(folded) / shots(plain))[:, 50:70].mean(axis=(0, 1, 3))
    assert ratio.min() < 0.9
    assert ratio.max() > 1.05
    assert 30 < ratio.argmin() < ratio.argmax() < 65


def test_a_figure_cut_by_the_lower_edge_stays_cut():
    figure = figure_of((0, 0, 0, 0))
    figure.image.paste((200, 20, 20, 255), (60, 60, 120, 240))  # a leg down to the edge
    for image in shots(figure, 30):
        lowest = image[-1, 41:49]
        assert (lowest[:, 0] > lowest[:, 1] + 60).any()


def test_figures_are_turned_moved_and_scaled():
    figure = figure_of((0, 0, 0, 0))
    figure.image.paste((20, 20, 220, 255), (60, 60, 120, 160))
    boxes = []
    for image in shots(figure, 20):
        rows, columns = np.nonzero(image[..., 2] > image[..., 0] + 80)
        boxes.append((rows.min(), rows.max(), columns.min(), columns.max()))
    spread = np.array(boxes).std(axis=0)
    assert spread.min() > 0.8
    assert np.abs(np.array(boxes).mean(axis=0) - (30, 79, 30, 59)).max() < 4


def test_the_sensor_is_noisy():
    image = shots(figure_of((128, 128, 128, 255)), 1)[0][50:70, 35:55]
    assert 0.3 < image.std(axis=(0, 1)).mean() < 8
