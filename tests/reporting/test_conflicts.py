import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.conflicts import has_pairs, plot_conflicts
from visual_taxonomy.taxonomy import Taxonomy

TASKS = Taxonomy.from_dict(
    {
        "Sarees": {"border": ["a", "b"], "color": ["a", "b"]},
        "Kurtis": {"color": ["a", "b"], "cost in $ or $$": ["a", "b"]},
    }
).tasks
COSINES = np.array(
    [
        [1.0, -0.4, np.nan, np.nan],
        [-0.4, 1.0, 0.02, np.nan],
        [np.nan, 0.02, 1.0, 0.2],
        [np.nan, np.nan, 0.2, 1.0],
    ]
)


def many(count: int) -> tuple:
    attributes = {f"a_long_attribute_{i}": ["x", "y"] for i in range(6)}
    return Taxonomy.from_dict({f"Category {k}": attributes for k in range(count // 6)}).tasks


def cells(figure):
    """The drawn cosines by (row, column) of the map, and their colours."""
    mesh = figure.axes[0].collections[0]
    values = np.ma.filled(mesh.get_array(), np.nan)
    return values, mesh.to_rgba(mesh.get_array())


def test_image_is_written(tmp_path):
    plot_conflicts(COSINES, TASKS, tmp_path / "conflicts.png")
    with Image.open(tmp_path / "conflicts.png") as image:
        assert image.format == "PNG"


def test_title_counts_the_pairs_and_the_worst_is_named(texts_of, tmp_path):
    texts = texts_of(plot_conflicts, COSINES, TASKS, tmp_path / "conflicts.png")
    assert "1 of 3 pairs of tasks that met pulls apart" in texts
    assert any(text.endswith("most apart: border and color of Sarees") for text in texts)
    cosines = COSINES.copy()
    cosines[1, 2] = cosines[2, 1] = -0.5
    texts = texts_of(plot_conflicts, cosines, TASKS, tmp_path / "conflicts.png")
    assert "2 of 3 pairs of tasks that met pull apart" in texts
    assert any(text.endswith("most apart: Sarees/color and Kurtis/color") for text in texts)


def test_peace_is_called_so(texts_of, tmp_path):
    texts = texts_of(plot_conflicts, abs(COSINES), TASKS, tmp_path / "conflicts.png")
    assert "No pair of tasks that met pulls apart" in texts
    assert not any("most apart" in text for text in texts)


def test_every_task_has_its_cell_and_pairs_that_never_met_have_none(figure_of, tmp_path):
    values, _ = cells(figure_of(plot_conflicts, COSINES, TASKS, tmp_path / "conflicts.png"))
    places = [1, 2, 4, 5]  # a line before each category is its name
    expected = np.where(np.eye(4, dtype=bool), np.nan, COSINES)
    np.testing.assert_allclose(values[np.ix_(places, places)], expected, rtol=1e-6)
    assert np.isnan(values[[0, 3]]).all()
    assert np.isnan(values[:, [0, 3]]).all()


def test_red_is_conflict_blue_agreement_and_the_scale_is_centred_at_zero(figure_of, tmp_path):
    figure = figure_of(plot_conflicts, COSINES, TASKS, tmp_path / "conflicts.png")
    _, colours = cells(figure)
    red, _, blue = colours[1, 2][:3]
    assert red > blue + 0.3
    red, _, blue = colours[4, 5][:3]
    assert blue > red + 0.2
    assert max(colours[2, 4][:3]) - min(colours[2, 4][:3]) < 0.1  # 0.02 is nearly grey
    assert max(abs(np.subtract(colours[2, 4][:3], to_rgb("white")))) > 0.05
    assert figure.axes[0].collections[0].get_clim() == pytest.approx((-0.4, 0.4))


def test_what_never_met_is_white_and_the_legend_says_so_and_what_neither_pulls_is_grey(
    figure_of, texts_of, tmp_path
):
    figure = figure_of(plot_conflicts, COSINES, TASKS, tmp_path / "conflicts.png")
    plot_conflicts(COSINES, TASKS, tmp_path / "conflicts.png")
    with Image.open(tmp_path / "conflicts.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    x, y = figure.axes[0].transData.transform(np.array([[2.2, 4.2], [1.2, 4.2]])).T.astype(int)
    near_zero, never_met = pixels[len(pixels) - y, x]
    assert never_met.tolist() == [255, 255, 255]
    assert near_zero.max() < 250
    texts = texts_of(plot_conflicts, COSINES, TASKS, tmp_path / "conflicts.png")
    assert "never met" in texts
    assert any("grey neither" in text and "white" not in text for text in texts)


def test_of_many_tasks_those_most_apart_are_drawn_in_an_image_of_bounded_size(texts_of, tmp_path):
    count = 1000
    random = np.random.default_rng(0)
    tasks = Taxonomy.from_dict(
        {f"Category {k}": {f"slot {i}": ["x", "y"] for i in range(10)} for k in range(count // 10)}
    ).tasks
    cosines = random.uniform(0, 1, (count, count))
    cosines = np.minimum(cosines, cosines.T)
    cosines[random.random(cosines.shape) < 0.5] = np.nan
    cosines += 0 * cosines.T
    cosines[17, 905] = cosines[905, 17] = -0.9
    texts = texts_of(plot_conflicts, cosines, tasks, tmp_path / "conflicts.png")
    assert max(texts["never met"].figure.get_size_inches()) < 27
    met = int(np.triu(~np.isnan(cosines), 1).sum())
    assert f"1 of {met:,} pairs of tasks that met pulls apart" in texts
    assert {"Category 1", "slot 7", "Category 90", "slot 5"} <= set(texts)
    assert any(text.startswith(f"The 48 of {count:,} tasks that pull apart") for text in texts)


def test_few_tasks_have_numbers_in_their_cells(texts_of, tmp_path):
    texts = texts_of(plot_conflicts, COSINES, TASKS, tmp_path / "conflicts.png")
    assert {"-.40", "+.02", "+.20", "cost in $ or $$", "Sarees", "Kurtis"} <= set(texts)


@pytest.mark.parametrize("count", [12, 42])
def test_names_do_not_overlap(figure_of, tmp_path, count):
    tasks = many(count)
    random = np.random.default_rng(0).uniform(-1, 1, (count, count))
    figure = figure_of(plot_conflicts, random + random.T, tasks, tmp_path / "conflicts.png")
    texts = [text for text in figure.axes[0].texts if text.get_text()[0] not in "+-"]
    assert len(texts) == 2 * (count + count // 6)
    boxes = [text.get_window_extent() for text in texts]
    for first, second in zip(boxes[::2], boxes[2::2], strict=False):
        assert not first.overlaps(second)
    for first, second in zip(boxes[1::2], boxes[3::2], strict=False):
        assert not first.overlaps(second)


def test_names_of_a_large_taxonomy_lie_inside_the_figure(texts_of, tmp_path):
    random = np.random.default_rng(0).uniform(-1, 1, (42, 42))
    texts = texts_of(plot_conflicts, random, many(42), tmp_path / "conflicts.png")
    assert "Category 6" in texts


def test_tasks_that_never_met_are_nothing_to_draw(tmp_path):
    alone = np.where(np.eye(4, dtype=bool), 1.0, np.nan)
    assert has_pairs(COSINES)
    assert not has_pairs(alone)
    with pytest.raises(InputError, match=r"conflicts\.png: no two tasks have had a label in the"):
        plot_conflicts(alone, TASKS, tmp_path / "conflicts.png")
