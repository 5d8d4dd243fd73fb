from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rcParams
from matplotlib.colors import to_rgb
from PIL import Image

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting import style
from visual_taxonomy.reporting.style import (
    add_axes,
    new_figure,
    save_figure,
    shorten,
    spread,
    write,
)


def luminance(colour):
    """Relative luminance of WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["INK", "MUTED", "BLUE", "GREEN", "RED"])
def test_colours_of_text_have_the_contrast_of_wcag_aa_on_white(name):
    assert 1.05 / (luminance(getattr(style, name)) + 0.05) >= 4.5


def test_axes_lie_where_their_inches_say():
    figure = new_figure(10, 5, "title", "subtitle")
    axes = add_axes(figure, left=1, top=1, width=4, height=2)
    assert axes.get_position().bounds == pytest.approx((0.1, 0.4, 0.4, 0.4))


def test_saving_writes_an_image_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "new" / "plot.png"
    save_figure(new_figure(2, 1, "a", "b"), path)
    with Image.open(path) as image:
        assert image.size == (300, 150)
    assert list(path.parent.iterdir()) == [path]


def test_failed_saving_keeps_the_former_image(tmp_path, monkeypatch):
    path = tmp_path / "plot.png"
    path.write_bytes(b"former")
    figure = new_figure(2, 1, "a", "b")

    def fill_the_disk(target, **_):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fill_the_disk)
    with pytest.raises(InputError, match=r"plot\.png: no space left"):
        save_figure(figure, path)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_figure_beyond_the_limit_of_the_renderer_is_drawn_coarser(tmp_path):
    save_figure(new_figure(0.5, 700, "a", "b"), tmp_path / "tall.png")
    with Image.open(tmp_path / "tall.png") as image:
        assert image.height in range(65_000, 2**16)


def test_names_with_dollar_signs_are_drawn_as_they_are(tmp_path):
    figure = new_figure(2, 1, r"$\bad", "$5 to $9")
    write(add_axes(figure, 0, 0, 1, 1), 0, 0, r"$x^$ \frac", "black", 9)
    save_figure(figure, tmp_path / "plot.png")


def test_settings_of_matplotlib_stay_as_they_were(tmp_path):
    before = dict(rcParams)
    save_figure(new_figure(2, 1, "a", "b"), tmp_path / "plot.png")
    assert dict(rcParams) == before


def test_text_is_cut_to_one_line_of_the_length():
    assert shorten("two\nlines", 20) == "two lines"
    assert shorten("exactly ten", 11) == "exactly ten"
    assert len(shorten("x" * 50, 11)) == 11


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0.01, 0.3))
def test_spread_positions_keep_their_order_and_distance(positions, gap):
    placed = spread(positions, gap)
    pairs = sorted(zip(positions, placed, strict=True))
    ordered = sorted(place for _, place in pairs)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(ordered))
    distinct = [place for i, (value, place) in enumerate(pairs) if not i or value > pairs[i - 1][0]]
    assert distinct == sorted(distinct)
    assert sum(placed) == pytest.approx(sum(positions), abs=1e-6)


def test_positions_far_enough_apart_stay():
    assert spread([3.0, 1.0, 2.0], gap=0.5) == [3.0, 1.0, 2.0]
