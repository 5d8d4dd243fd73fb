"""What more labels would bring, by the learning curves of `vtax probe`."""

from collections.abc import Sequence

from visual_taxonomy.decision.intervals import Interval
from visual_taxonomy.reporting.html.blocks import Block, Cell, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.plots import Curve as Line
from visual_taxonomy.reporting.html.plots import Plot
from visual_taxonomy.reporting.html.sections.overall import bracket
from visual_taxonomy.training.probing.learning_curve import MORE, Curve, LearningCurve, Point

_DRAWN = 3
"""Attributes in the plot; more would run into each other."""

_NOTE = (
    "HM of the linear probe with half of the log prior taken away, fitted to parts of the labels "
    "(whole near-duplicate groups, each part within the next; the smaller ones drawn three times). "
    "The gain is that of a power law, 1 - HM = a labels^-b; its range holds 95 % of 1,000 samples "
    "(bootstrap) over products and draws. Classes that no label has yet are in none of it."
)


def labels(context: Context) -> Sequence[Block] | Absent:
    """Learning curves, and the expected gain of every attribute, the largest first."""
    curve = None if context.probe is None else context.probe.curve
    if curve is None:
        return Absent("no `vtax probe --learning_curve` of the same rows")
    lines = [_drawn("all attributes", curve.overall, 0)]
    lines += [
        _drawn(each.task.rpartition("/")[2], each.points, colour)
        for colour, each in enumerate(curve.curves[:_DRAWN], start=1)
    ]
    return [
        Text(summary(curve)),
        Plot("% of the labels", "HM", lines),
        _table(curve),
        Text(_NOTE, is_note=True),
    ]


def summary(curve: LearningCurve) -> str:
    """Which attribute gains most, and how far the smaller parts foretold the whole."""
    known = [each for each in curve.curves if _is_known(each.gain)]
    if not known:
        return "No attribute has labels enough for a curve."
    best = known[0]
    backtest = ""
    if curve.backtest == curve.backtest:
        backtest = (
            " Half of the labels and less foretold the HM at all of them to within "
            f"{curve.backtest:.3f} on average."
        )
    sure = sum(each.gain.low > 0 for each in known)
    return (
        f"{best.task} gains most from {MORE} more labels: {best.gain.value:+.3f} HM "
        f"{bracket(best.gain)}. The gain of {sure} of {len(known)} attributes is above 0 for "
        f"sure.{backtest}"
    )


def _is_known(interval: Interval) -> bool:
    return interval.value == interval.value  # NaN is not


def _drawn(name: str, points: Sequence[Point], colour: int) -> Line:
    return Line(name, [(100 * p.share, p.hm.value) for p in points], colour, has_dots=True)


def _table(curve: LearningCurve) -> Table:
    shares = [f"{point.share:.0%}" for point in curve.overall]
    heading = ("attribute", "labels", *shares, "", f"gain from {MORE}", "range")
    return Table(heading, [_row(each) for each in curve.curves])


def _row(curve: Curve) -> list[Cell]:
    last = curve.points[-1]
    span = Span(last.hm.value, last.hm.low, last.hm.high)
    values: list[Cell] = [point.hm.value for point in curve.points]
    start: list[Cell] = [curve.task, round(last.labels), *values, span]
    if not _is_known(curve.gain):
        return [*start, None, None]
    return [*start, curve.gain.value, bracket(curve.gain)]
