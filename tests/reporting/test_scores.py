from io import StringIO

import numpy as np
import pytest
from matplotlib.colors import same_color
from PIL import Image
from rich.console import Console

from visual_taxonomy.evaluation import AttributeScores, CategoryScores, ClassScores, Report
from visual_taxonomy.reporting.scores import plot_scores, score_table
from visual_taxonomy.reporting.style import BLUE, RED


def attribute(name, right, rows):
    """Two classes of `rows` labels each, `right` of each predicted right: every F1 is the share."""
    classes = (ClassScores("x", rows, rows, right), ClassScores("y", rows, rows, right))
    return AttributeScores(name, classes)


def report(border, color):
    sarees = (attribute("border", border, 100), attribute("color", color, 1000))
    never = CategoryScores("Never [bold]", (attribute("seen", 0, 0),))
    return Report((CategoryScores("Sarees $5/$9", sarees), never))


def rendered(table):
    console = Console(width=100, record=True, file=StringIO())
    console.print(table)
    return console.export_text()


MODEL, MAJORITY = report(80, 500), report(50, 600)


def test_image_is_written(tmp_path):
    plot_scores(MODEL, MAJORITY, tmp_path / "scores.png")
    with Image.open(tmp_path / "scores.png") as image:
        assert image.format == "PNG"


def test_title_says_how_many_attributes_beat_the_baseline(texts_of, tmp_path):
    texts = texts_of(plot_scores, MODEL, MAJORITY, tmp_path / "scores.png")
    assert "The model beats the majority class in 1 of 2 attributes" in texts
    better = texts_of(plot_scores, report(80, 700), MAJORITY, tmp_path / "scores.png")
    assert "The model beats the majority class in all 2 attributes" in better


def test_attributes_behind_the_baseline_are_red(texts_of, tmp_path):
    texts = texts_of(plot_scores, MODEL, MAJORITY, tmp_path / "scores.png")
    assert same_color(texts["0.80"].get_color(), BLUE)
    assert same_color(texts["0.50"].get_color(), RED)
    assert any(text.endswith("red where the model is behind") for text in texts)


def test_attributes_stand_below_their_category_the_best_first(texts_of, tmp_path):
    texts = texts_of(plot_scores, report(50, 800), MAJORITY, tmp_path / "scores.png")
    heights = [texts[name].get_position()[1] for name in ("Sarees $5/$9", "color", "border")]
    assert heights == sorted(heights)  # the axis points down


def test_labels_are_counted_and_their_absence_is_said(texts_of, tmp_path):
    texts = texts_of(plot_scores, MODEL, MAJORITY, tmp_path / "scores.png")
    assert {"2,200", "200", "2,000", "0", "no labelled row"} <= set(texts)


def test_report_is_drawn_without_a_baseline_under_its_own_title(texts_of, tmp_path):
    texts = texts_of(plot_scores, MODEL, None, tmp_path / "scores.png")
    assert "HM-F1 is 0.650 over all categories" in texts
    assert not any("majority" in text for text in texts)
    assert "mine" in texts_of(plot_scores, MODEL, None, tmp_path / "scores.png", title="mine")


def test_baseline_of_other_attributes_is_left_out(texts_of, tmp_path):
    other = Report((CategoryScores("Kurtis", (attribute("neck", 1, 2),)),))
    texts = texts_of(plot_scores, MODEL, other, tmp_path / "scores.png")
    assert "HM-F1 is 0.650 over all categories" in texts


def test_scores_of_zero_and_one_lie_inside_the_figure(texts_of, tmp_path):
    texts = texts_of(plot_scores, report(0, 1000), MAJORITY, tmp_path / "scores.png")
    assert {"0.00", "1.00"} <= set(texts)


def test_texts_of_42_attributes_do_not_overlap(texts_of, tmp_path):
    names = [f"print_or_pattern_type_of_the_sleeve_{i}" for i in range(21)]
    categories = tuple(
        CategoryScores(f"category {i}", tuple(attribute(n, j, 21) for j, n in enumerate(names)))
        for i in range(2)
    )
    texts = texts_of(plot_scores, Report(categories), None, tmp_path / "scores.png", title="t")
    x0, y0, x1, y1 = np.array([text.get_window_extent().extents for text in texts.values()]).T
    overlaps = (x0 < x1[:, None]) & (x0[:, None] < x1) & (y0 < y1[:, None]) & (y0[:, None] < y1)
    assert overlaps.sum() == len(texts)  # each with itself alone


def test_table_shows_categories_and_the_whole():
    shown = rendered(score_table(MODEL, MAJORITY))
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "│ Sarees $5/$9 │ 0.650 │ 0.650 │ 0.650 │ 0.550 │ 2,200 │" in lines
    assert "│ Never [bold] │ - │ - │ - │ - │ 0 │" in lines
    assert "│ overall │ 0.650 │ 0.650 │ 0.650 │ 0.550 │ 2,200 │" in lines


@pytest.mark.parametrize(("baseline", "num_columns"), [(None, 5), (MAJORITY, 6)])
def test_table_has_a_column_for_the_majority_only_if_given(baseline, num_columns):
    table = score_table(MODEL, baseline)
    assert len(table.columns) == num_columns
    assert ("majority HM" in rendered(table)) == (baseline is not None)


def test_category_that_the_baseline_lacks_has_a_dash():
    other = Report((CategoryScores("Kurtis", (attribute("neck", 1, 2),)),))
    assert list(score_table(MODEL, other).columns[4].cells) == ["-", "-", "0.500"]


def dots_of(figure):
    """The markers of each line of the chart from the top: [[x of baseline, x of model], ...]."""
    rows = {}
    for line in figure.axes[0].lines:
        if line.get_marker() == "o":
            rows.setdefault(line.get_ydata()[0], []).append(round(float(line.get_xdata()[0]), 3))
    return [rows[y] for y in sorted(rows)]


def test_dots_lie_at_the_scores_of_baseline_and_model(figure_of, tmp_path):
    figure = figure_of(plot_scores, MODEL, MAJORITY, tmp_path / "scores.png")
    assert dots_of(figure) == [[0.55, 0.65], [0.5, 0.8], [0.6, 0.5]]


def test_dots_without_a_baseline_are_those_of_the_model_alone(figure_of, tmp_path):
    figure = figure_of(plot_scores, MODEL, None, tmp_path / "scores.png")
    assert dots_of(figure) == [[0.65], [0.8], [0.5]]


def test_attribute_as_good_as_the_baseline_is_neither_ahead_nor_red(texts_of, tmp_path):
    texts = texts_of(plot_scores, report(80, 600), MAJORITY, tmp_path / "scores.png")
    assert "The model beats the majority class in 1 of 2 attributes" in texts
    assert same_color(texts["0.60"].get_color(), BLUE)
    assert not any("red" in text for text in texts)


def test_attribute_without_labels_stands_last_in_its_category(texts_of, tmp_path):
    attributes = (attribute("empty", 0, 0), attribute("hopeless", 0, 9), attribute("good", 9, 9))
    scores = Report((CategoryScores("Sarees", attributes),))
    texts = texts_of(plot_scores, scores, None, tmp_path / "scores.png")
    heights = [texts[name].get_position()[1] for name in ("good", "hopeless", "empty")]
    assert heights == sorted(heights)


def test_every_attribute_takes_the_same_height(figure_of, tmp_path):
    heights = []
    for count in (1, 11, 21):
        attributes = tuple(attribute(f"a{i}", 1, 2) for i in range(count))
        scores = Report((CategoryScores("Sarees", attributes),))
        figure = figure_of(plot_scores, scores, None, tmp_path / "scores.png")
        heights.append(figure.get_figheight())
    assert heights[2] - heights[1] == pytest.approx(heights[1] - heights[0])


def test_values_of_lines_below_the_baseline_are_right_of_both_dots(texts_of, tmp_path):
    texts = texts_of(plot_scores, MODEL, MAJORITY, tmp_path / "scores.png")
    assert texts["0.50"].get_position()[0] > 0.6
    assert texts["0.80"].get_position()[0] > 0.8


def test_table_keeps_the_order_of_the_categories():
    names = [str(cell) for cell in score_table(MODEL, MAJORITY).columns[0].cells]
    assert names == ["Sarees $5/$9", "Never [bold]", "overall"]
