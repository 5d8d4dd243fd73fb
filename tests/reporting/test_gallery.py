import numpy as np
import pytest
from matplotlib.colors import same_color
from PIL import Image

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.gallery import LabelledImage, plot_gallery
from visual_taxonomy.reporting.style import GREEN, MUTED, RED

ROWS = [
    ("border", "zari", 0.91, "zari"),
    ("color", "red", 0.42, "green"),
    ("ocassion", "party", 0.6, None),
]


def sample(rows=ROWS, size=(60, 80), mode="RGB"):
    return LabelledImage(Image.new(mode, size), "Sarees", rows)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_image_of_any_mode_is_drawn(tmp_path, mode):
    plot_gallery([sample(mode=mode)], tmp_path / "gallery.png")
    with Image.open(tmp_path / "gallery.png") as image:
        assert image.format == "PNG"


def test_right_wrong_and_unknown_differ_in_colour_and_mark(texts_of, tmp_path):
    texts = texts_of(plot_gallery, [sample()], tmp_path / "gallery.png")
    for label, mark, colour in (("zari", "✓", GREEN), ("red", "✗", RED), ("party", "?", MUTED)):
        assert same_color(texts[label].get_color(), colour)
        assert same_color(texts[mark].get_color(), colour)
        assert texts[label].get_position()[1] == texts[mark].get_position()[1]


def test_wrong_label_alone_is_followed_by_the_truth(texts_of, tmp_path):
    texts = texts_of(plot_gallery, [sample()], tmp_path / "gallery.png")
    assert [text for text in texts if text.startswith("true:")] == ["true: green"]


def test_probability_is_shown_in_percent(texts_of, tmp_path):
    texts = texts_of(plot_gallery, [sample()], tmp_path / "gallery.png")
    assert {"91%", "42%", "60%", "Sarees"} <= set(texts)


def test_title_counts_the_known_labels(texts_of, tmp_path):
    texts = texts_of(plot_gallery, [sample(), sample()], tmp_path / "gallery.png")
    assert "2 of 4 known labels are predicted right" in texts
    unknown = texts_of(plot_gallery, [sample(ROWS[2:])], tmp_path / "gallery.png")
    assert "Predicted labels; the truth is unknown" in unknown
    assert "mine" in texts_of(plot_gallery, [sample()], tmp_path / "gallery.png", title="mine")


def test_long_names_stay_in_their_columns(texts_of, tmp_path):
    rows = [("print_or_pattern_type_" * 3, "three-quarter sleeves " * 3, 1.0, "same as saree " * 5)]
    texts = texts_of(plot_gallery, [sample(rows)], tmp_path / "gallery.png")
    boxes = [text.get_window_extent() for text in texts.values()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_last_shelf_may_have_fewer_images(texts_of, tmp_path):
    samples = [sample(ROWS[:i], size) for i, size in enumerate([(9, 400), (700, 9), (1, 1)])]
    texts = texts_of(plot_gallery, samples, tmp_path / "gallery.png", columns=2)
    assert "2 of 3 known labels are predicted right" in texts


def test_given_image_is_not_changed(tmp_path):
    large = Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 700, 3), np.uint8))
    before = large.copy()
    plot_gallery([LabelledImage(large, "Sarees", ROWS)], tmp_path / "gallery.png")
    assert large == before


def test_no_image_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"gallery\.png: no image to draw"):
        plot_gallery([], tmp_path / "gallery.png")


def places(figure):
    """(left, top) in inches of each image, in the order they were given."""
    width, height = figure.get_size_inches()
    boxes = [axes.get_position() for axes in figure.axes if axes.images]
    return [(round(box.x0 * width, 2), round((1 - box.y1) * height, 2)) for box in boxes]


def test_images_stand_in_rows(figure_of, tmp_path):
    figure = figure_of(plot_gallery, [sample()] * 5, tmp_path / "gallery.png", columns=2)
    lefts, tops = zip(*places(figure), strict=True)
    assert lefts[0] == lefts[2] == lefts[4] < lefts[1] == lefts[3]
    assert tops[0] == tops[1] < tops[2] == tops[3] < tops[4]


def test_row_of_images_is_as_high_as_its_longest_list(figure_of, tmp_path):
    short, long = sample(ROWS[:1]), sample(ROWS * 3)
    tops = {}
    for name, samples in (("short", [short] * 4), ("long", [short, long, short, short])):
        figure = figure_of(plot_gallery, samples, tmp_path / "gallery.png", columns=2)
        tops[name] = places(figure)[2][1]
    extra_lines = 3 * 3 + 3 - 1  # three times three labels, of which three are wrong, less one
    assert tops["long"] - tops["short"] == pytest.approx(extra_lines * 0.185, abs=0.02)


@pytest.mark.parametrize("size", [(60, 80), (80, 60), (2000, 1000), (1, 1), (5, 300)])
def test_whole_image_is_shown_in_proportion(figure_of, tmp_path, size):
    figure = figure_of(plot_gallery, [sample(size=size)], tmp_path / "gallery.png")
    axes = figure.axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert right - left == pytest.approx(bottom - top)
    x0, x1, y1, y0 = axes.images[0].get_extent()
    assert left <= x0 < x1 <= right
    assert top <= y0 < y1 <= bottom
    assert axes.bbox.width == pytest.approx(axes.bbox.height)


def test_colours_of_the_image_are_kept(tmp_path):
    blue = LabelledImage(Image.new("RGB", (50, 50), (0, 0, 200)), "Sarees", ROWS)
    plot_gallery([blue], tmp_path / "gallery.png")
    with Image.open(tmp_path / "gallery.png") as image:
        centre = (round((0.45 + 1.6) * 150), round((1.1 + 1.6) * 150))
        assert image.convert("RGB").getpixel(centre) == (0, 0, 200)


def test_transparent_image_shows_the_ground_behind_it(tmp_path):
    clear = LabelledImage(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "Sarees", ROWS)
    plot_gallery([clear], tmp_path / "gallery.png")
    with Image.open(tmp_path / "gallery.png") as image:
        centre = (round((0.45 + 1.6) * 150), round((1.1 + 1.6) * 150))
        assert min(image.convert("RGB").getpixel(centre)) > 240


def test_image_without_labels_has_its_category_alone(texts_of, tmp_path):
    texts = texts_of(plot_gallery, [sample([])], tmp_path / "gallery.png")
    assert "Sarees" in texts
    assert not {"✓", "✗", "?"} & set(texts)
