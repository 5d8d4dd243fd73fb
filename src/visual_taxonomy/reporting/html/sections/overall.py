"""The three scores over everything, and by category."""

from collections.abc import Sequence

from visual_taxonomy.decision.intervals import Interval, ScoreIntervals
from visual_taxonomy.evaluation import CategoryScores, Report
from visual_taxonomy.reporting.html.blocks import Block, Cell, Span, Table, Text, Tile, Tiles
from visual_taxonomy.reporting.html.context import Absent, Context

_NAMES = {
    "hm": ("HM", "harmonic mean of micro and macro F1"),
    "micro": ("micro F1", "the share of labels that is answered right"),
    "macro": ("macro F1", "every class counts the same"),
}
_NOTE = (
    "Each score is taken per attribute, then averaged over the attributes of a category, then over "
    "the categories. Ranges in brackets hold 95 % of 1,000 bootstrap samples over products, "
    "near-duplicates together. Macro F1 averages over the classes that occur, so it and HM depend "
    "on how many rows there are: compare them on the same rows only."
)


def overall(context: Context) -> Sequence[Block] | Absent:
    """Scores with intervals, against always answering the most frequent class."""
    baseline = context.baseline
    tiles = [
        Tile(name, f"{getattr(context.scores, key):.3f}", _details(context, key, what))
        for key, (name, what) in _NAMES.items()
    ]
    tiles += _sureness(context)
    blocks: list[Block] = [Text(_verdict(context)), Tiles(tiles)]
    if len(context.scores.categories) > 1:
        blocks.append(_by_category(context, baseline))
    return [*blocks, Text(_NOTE, is_note=True)]


def _sureness(context: Context) -> list[Tile]:
    """What the probabilities are worth, where that could be measured."""
    if context.cross is None:
        return []
    cross, precision = context.cross, context.cross.precision[-1]
    before = f"{cross.before.ece.value:.3f} before calibration"
    after = bracket(cross.after.ece)
    tiles = [Tile("calibration error", f"{cross.after.ece.value:.3f}", [after, before])]
    achieved = precision.overall
    if achieved.precision is None or achieved.coverage is None:
        return tiles
    name = f"answered at {precision.target:.0%} precision"
    details = ["of the labels", f"{achieved.precision:.1%} of these are right"]
    return [*tiles, Tile(name, f"{achieved.coverage:.0%}", details)]


def bracket(interval: Interval) -> str:
    """The ends of an interval, as text.

    Example:
        >>> bracket(Interval(0.5, 0.4567, 0.6))
        '[0.457, 0.600]'
    """
    return f"[{interval.low:.3f}, {interval.high:.3f}]"


def _details(context: Context, key: str, what: str) -> list[str]:
    interval = bracket(getattr(context.intervals.overall, key))
    if context.baseline is None:
        return [interval, what]
    return [interval, f"most frequent class {getattr(context.baseline, key):.3f}", what]


def _verdict(context: Context) -> str:
    """What is scored, and in how many attributes the model is of use."""
    answers = _answers(context)
    if context.baseline is None:
        return f"{answers} The checkpoint does not say what it was trained on: no baseline."
    pairs = [
        (own.hm, other.hm)
        for ours, theirs in zip(context.scores.categories, context.baseline.categories, strict=True)
        for own, other in zip(ours.attributes, theirs.attributes, strict=True)
        if own.hm is not None and other.hm is not None
    ]
    ahead = sum(own > other for own, other in pairs)
    return (
        f"The model beats the most frequent class in {ahead} of {len(pairs)} attributes that have "
        f"held-out labels. {answers}"
    )


def _answers(context: Context) -> str:
    if context.is_argmax:
        return "Scored are the most probable classes."
    return "Scored are answers by the rule for the metric, fitted on other rows than they are for."


def _by_category(context: Context, baseline: Report | None) -> Table:
    references = {each.name: each.hm for each in baseline.categories} if baseline else {}
    rows = [
        _row(each, context.intervals.categories[each.name], references.get(each.name))
        for each in context.scores.categories
    ]
    return Table(("category", "HM", "", "range", "baseline", "micro", "macro", "labels"), rows)


def _row(scores: CategoryScores, intervals: ScoreIntervals, reference: float | None) -> list[Cell]:
    if scores.hm is None:
        return [scores.name, None, Span(None), None, None, None, None, 0]
    interval = intervals.hm
    span = Span(scores.hm, interval.low, interval.high, reference)
    return [
        *(scores.name, scores.hm, span, bracket(interval)),
        *(reference, scores.micro, scores.macro, scores.support),
    ]
