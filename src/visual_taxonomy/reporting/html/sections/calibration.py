"""Whether a probability means what it says, and how much can be answered at which precision."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.binomial import share_interval
from visual_taxonomy.decision.cross_fitted import CrossFitted
from visual_taxonomy.decision.measures import equal_mass_bins
from visual_taxonomy.decision.precision import ENOUGH_LABELS, Achieved, Precision
from visual_taxonomy.reporting.html.blocks import Beside, Block, Cell, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.plots import Curve, Plot
from visual_taxonomy.reporting.html.sections.decision import TOO_FEW
from visual_taxonomy.reporting.html.sections.overall import bracket

_BINS = 15
_PER_BIN = 20
"""Answers in a bin at least: the share of fewer is noise."""
_POINTS = 80
"""Of a curve; more cannot be seen."""

_MEASURES = {
    "ece": "calibration error of the answer (ECE)",
    "classwise_ece": "calibration error of every class",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
}
_NOTE = (
    "Reliability: answers in bins of equal size; on the dotted line, 80 % of those with a "
    "probability of 80 % are right. Precision: if only the surest answers are published, how much "
    "is answered and how much of it is right. The calibration was fitted without the rows it is "
    "judged on."
)


class _Answered(NamedTuple):
    """Answers to all labels."""

    confidence: np.ndarray
    is_right: np.ndarray


def calibration(context: Context) -> Sequence[Block] | Absent:
    """Reliability before and after, precision by coverage, and what targets achieve."""
    cross = context.cross
    if cross is None:
        return Absent(TOO_FEW)
    before, after = _raw(context), _calibrated(context, cross)
    ends = (0.0, 1.0)
    curves = [_reliability("before", before, 2), _reliability("after", after, 1)]
    reliability = Plot("probability", "share right", curves, ends, ends, has_diagonal=True)
    shares = [_precision("before", before, 2), _precision("after", after, 1)]
    precision = Plot("share of the labels answered", "share right", shares, ends)
    text = (
        f"Calibration takes the calibration error from {cross.before.ece.value:.3f} to "
        f"{cross.after.ece.value:.3f}."
    )
    return [
        Text(text),
        Beside([("Reliability", reliability), ("Precision of the surest answers", precision)]),
        Text(_NOTE, is_note=True),
        _targets(cross.precision),
        _measures(cross),
    ]


def _raw(context: Context) -> _Answered:
    """The most probable classes with the probabilities of the model."""
    heads = [each.head for each in context.heads if len(each.head.labels)]
    confidence = np.concatenate([head.probabilities.max(axis=1) for head in heads])
    top = [head.probabilities.argmax(axis=1) == head.labels for head in heads]
    return _Answered(confidence, np.concatenate(top))


def _calibrated(context: Context, cross: CrossFitted) -> _Answered:
    """The most probable classes with the calibrated probabilities."""
    answers = cross.argmax
    confidence, is_right = [], []
    for head, _, _ in context.heads:
        classes = answers.classes[head.rows, head.slot]
        confidence.append(answers.probabilities[head.rows, head.slot, classes].astype(np.float64))
        is_right.append(classes == head.labels)
    return _Answered(np.concatenate(confidence), np.concatenate(is_right))


def _reliability(name: str, answered: _Answered, colour: int) -> Curve:
    bins = min(_BINS, max(1, len(answered.confidence) // _PER_BIN))
    places = equal_mass_bins(answered.confidence, bins)
    counts = np.bincount(places, minlength=bins)
    x, y = (np.bincount(places, each, minlength=bins) / counts for each in answered)
    return Curve(name, list(zip(x.tolist(), y.tolist(), strict=True)), colour, has_dots=True)


def _precision(name: str, answered: _Answered, colour: int) -> Curve:
    """Share right among the surest answers, for more and more of them; the first few are noise."""
    order = np.argsort(-answered.confidence, kind="stable")
    counts = np.arange(1, len(order) + 1)
    share = np.cumsum(answered.is_right[order]) / counts
    first = min(max(_PER_BIN, len(order) // 50), len(order)) - 1
    shown = np.unique(np.linspace(first, len(order) - 1, _POINTS).astype(int))
    points = zip((counts[shown] / len(order)).tolist(), share[shown].tolist(), strict=True)
    return Curve(name, list(points), colour)


def _measures(cross: CrossFitted) -> Table:
    rows: list[list[Cell]] = []
    for key, name in _MEASURES.items():
        before, after = getattr(cross.before, key), getattr(cross.after, key)
        rows.append([name, before.value, bracket(before), after.value, bracket(after)])
    columns = ("lower is better", "before", "range", "after", "range")
    return Table(columns, rows, caption="Measures of calibration")


def _targets(precision: Sequence[Precision]) -> Table:
    rows = []
    for each in precision:
        rows.append(_target(f"{each.target:.0%}", each.target, each.overall))
        rows.append(_target("of it, where answers are held back", each.target, each.withholding))
    return Table(
        ("precision asked for", "achieved", "", "range", "answered", "labels"),
        rows,
        caption=f"Attributes with {ENOUGH_LABELS} held-out labels or more, at a target precision",
    )


def _target(name: str, target: float, achieved: Achieved) -> list[Cell]:
    if achieved.precision is None or achieved.coverage is None:
        return [name, None, Span(None, reference=target), None, None, achieved.labels]
    ends = share_interval(np.array(achieved.correct), np.array(achieved.accepted))
    low, high = map(float, ends)
    span = Span(achieved.precision, low, high, target)
    text = f"[{low:.3f}, {high:.3f}]"
    return [name, achieved.precision, span, text, f"{achieved.coverage:.1%}", achieved.labels]
