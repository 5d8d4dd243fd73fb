import math
from itertools import pairwise

import pytest

from visual_taxonomy.reporting.html.plots import Curve, Plot


def ticks(low, high):
    plot = Plot("x", "y", [Curve("c", [(0, low), (1, high)])])
    return [tick.text for tick in plot.y_ticks()]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.21, 0.44, ["0.25", "0.30", "0.35", "0.40"]),
        (1, 8, ["2", "4", "6", "8"]),
        (0, 12, ["0.0", "2.5", "5.0", "7.5", "10.0"]),
        (0, 0.0005, ["0.0000", "0.0001", "0.0002", "0.0003", "0.0004", "0.0005"]),
        (3, 3, ["3"]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert ticks(low, high) == expected


def test_ends_of_the_range_are_the_edges():
    plot = Plot("x", "y", [Curve("c", [(0, 0), (10, 1)])])
    assert (plot.x(0), plot.x(10)) == (plot.left, plot.right)
    assert (plot.y(0), plot.y(1)) == (plot.bottom, plot.top)


def test_values_that_are_not_finite_leave_gaps():
    curve = Curve("c", [(0, 1), (1, 2), (2, math.nan), (3, 1), (4, math.inf), (5, 2), (6, 3)])
    assert [len(piece) for piece in curve.pieces()] == [2, 1, 2]
    plot = Plot("x", "y", [curve])
    assert len(plot.paths(curve)) == 3
    assert plot.dots(curve) == [(plot.x(3), plot.y(1))]


def test_one_point_stands_in_the_middle():
    plot = Plot("x", "y", [Curve("c", [(1, 0.5)])])
    assert plot.x(1) == (plot.left + plot.right) / 2
    assert plot.y(0.5) == (plot.top + plot.bottom) / 2


def test_names_of_curves_that_end_together_do_not_touch():
    plot = Plot("x", "y", [Curve(name, [(0, 0), (1, 1)]) for name in ("a", "b", "c")])
    places = sorted(label.y for label in plot.labels())
    assert all(b - a > 0 for a, b in pairwise(places))
