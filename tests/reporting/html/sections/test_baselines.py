"""The sections that a probe of the same rows gives a report."""

from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.intervals import Interval, ScoreIntervals
from visual_taxonomy.reporting.html.blocks import Fold, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.plots import Plot
from visual_taxonomy.reporting.html.report import write_report
from visual_taxonomy.reporting.html.sections.baselines import baselines
from visual_taxonomy.reporting.html.sections.labels import labels
from visual_taxonomy.training.probing.learning_curve import Curve, LearningCurve, Point
from visual_taxonomy.training.probing.record import Line, ProbeRecord

NOTHING = Interval(np.nan, np.nan, np.nan)


def around(value: float) -> Interval:
    return Interval(value, value - 0.1, value + 0.1)


def line_of(value: float, attributes: dict[str, Interval]) -> Line:
    return Line(ScoreIntervals(around(value), around(value), around(value)), attributes)


@pytest.fixture
def probed(held_out) -> Context:
    names = held_out.taxonomy.task_names
    first, other = names[0], names[1]
    lines = {
        "majority class": line_of(0.2, {first: around(0.1), other: NOTHING}),
        "linear, decided": line_of(0.4, {}),
    }
    points = [
        Point(share, 400 * share, around(0.3 + share / 4), around(0.5), around(0.5))
        for share in (0.125, 0.25, 0.5, 1.0)
    ]
    gains = (Interval(0.05, 0.01, 0.09), Interval(0.02, -0.01, 0.05), NOTHING)
    curves = tuple(
        Curve(name, tuple(points), gain) for name, gain in zip(names[:3], gains, strict=True)
    )
    curve = LearningCurve(tuple(points), curves, 0.012)
    return Context(held_out, rule="argmax", probe=ProbeRecord("", "vit", 0.01, 9, lines, curve))


def test_the_lines_stand_above_the_model(probed: Context) -> None:
    text, table, fold, _ = baselines(probed)
    assert isinstance(text, Text)
    assert isinstance(table, Table)
    assert [row[:2] for row in table.rows[:2]] == [
        ["majority class", 0.2],
        ["linear, decided", 0.4],
    ]
    assert table.rows[2][0] == "this model"
    assert table.rows[2][1] == probed.intervals.overall.hm.value
    assert table.strong == {2}
    assert "(linear, decided) reaches HM 0.400" in text.text
    assert isinstance(fold, Fold)
    (by_attribute,) = fold.blocks
    assert isinstance(by_attribute, Table)
    # Only lines that are known by attribute; a score without labels is a dash.
    assert by_attribute.columns == ("attribute", "majority class", "this model")
    assert [row[1] for row in by_attribute.rows[:3]] == [0.1, None, None]


def test_the_attribute_that_gains_most_is_named(probed: Context) -> None:
    text, plot, table, _ = labels(probed)
    assert isinstance(text, Text)
    first = probed.held_out.taxonomy.task_names[0]
    expected = f"{first} gains most from 500 more labels: +0.050 HM [0.010, 0.090]"
    assert text.text.startswith(expected)
    assert "The gain of 1 of 2 attributes is above 0 for sure" in text.text
    assert "to within 0.012 on average" in text.text
    assert isinstance(plot, Plot)
    assert plot.curves[0].points[0] == (12.5, pytest.approx(0.33125))
    assert isinstance(table, Table)
    assert table.columns[2:6] == ("12%", "25%", "50%", "100%")
    assert [row[-2] for row in table.rows] == [0.05, 0.02, None]
    assert table.rows[0][1] == 400


def test_without_a_probe_or_a_curve_the_page_says_so(probed: Context, tmp_path) -> None:
    assert isinstance(baselines(replace(probed, probe=None)), Absent)
    record = probed.probe
    assert record is not None
    assert isinstance(labels(replace(probed, probe=replace(record, curve=None))), Absent)
    known = record.curve
    assert known is not None
    nothing = known._replace(curves=known.curves[2:], backtest=np.nan)
    text = labels(replace(probed, probe=replace(record, curve=nothing)))[0]
    assert isinstance(text, Text)
    assert text.text == "No attribute has labels enough for a curve."
    write_report(probed, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Against simple methods" in html
    assert "What more labels would bring" in html
