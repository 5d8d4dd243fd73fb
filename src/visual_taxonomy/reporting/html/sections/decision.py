"""What is answered: the rule that chooses the class, and what it gains."""

from collections.abc import Sequence

from visual_taxonomy.decision.comparison import Difference
from visual_taxonomy.decision.cross_fitted import CHOSEN, CrossFitted
from visual_taxonomy.decision.intervals import ScoreIntervals
from visual_taxonomy.reporting.html.blocks import Block, Cell, Fold, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.sections.overall import bracket

TOO_FEW = "too few held-out products to fit a decision on some and judge it on others"

_RULES = {
    "argmax": "the most probable class",
    "one tau": "one tau for all attributes",
    "tau per head": "a tau for each attribute",
    "offsets": "an offset for each class",
    CHOSEN: "what each fold chose",
}
_NOTE = (
    "The class answered is the one with the largest log probability minus tau times the log of its "
    "share of the training labels: a larger tau answers rare classes more often."
)
_CROSS_FITTED = (
    "Every figure is cross-fitted: each fold is answered by a decision fitted on the others. On "
    "the rows it was fitted on, a rule with more freedom always looks better than it is."
)
_THRESHOLDS = (
    "A published answer needs at least the threshold as its calibrated probability; “never”: the "
    "precision cannot be reached. Attributes with few labels take the threshold of all together."
)


def decision(context: Context) -> Sequence[Block] | Absent:
    """The rules compared, and what was fitted for each attribute."""
    if context.cross is None:
        return Absent(TOO_FEW)
    cross = context.cross
    is_fitted_here = CHOSEN in cross.scores
    origin = "Chosen on all held-out rows" if is_fitted_here else _origin(cross)
    text = f"{origin}: {_RULES[cross.decision.rule]}. {_gain(cross.gain.hm, is_fitted_here)}"
    rows = [_row(name, scores) for name, scores in cross.scores.items()]
    strong = frozenset(i for i, name in enumerate(cross.scores) if name == cross.decision.rule)
    table = Table(("rule", "HM", "", "range", "micro", "macro"), rows, strong)
    note = f"{_NOTE} {_CROSS_FITTED}" if is_fitted_here else _NOTE
    return [Text(text), table, Text(note, is_note=True), _heads(cross)]


def _origin(cross: CrossFitted) -> str:
    fitted = cross.decision.fitted_on
    return f"The rule of the model, fitted on {fitted.labels:,} labels ({fitted.source})"


def _gain(gain: Difference, is_fitted_here: bool) -> str:
    what = "Letting each fold choose a rule" if is_fitted_here else "It"
    return (
        f"{what} changes HM on rows that it has not seen by {gain.difference:+.3f} against the "
        f"most probable class, with a range from {gain.low:+.3f} to {gain.high:+.3f}."
    )


def _row(name: str, scores: ScoreIntervals) -> list[Cell]:
    span = Span(scores.hm.value, scores.hm.low, scores.hm.high)
    means = scores.micro.value, scores.macro.value
    return [_RULES[name], scores.hm.value, span, bracket(scores.hm), *means]


def _heads(cross: CrossFitted) -> Fold:
    """Temperature, exponents and thresholds of every attribute."""
    targets = [each.target for each in cross.precision]
    found = [cross.decision.thresholds("metric", target) for target in targets]
    rows: list[list[Cell]] = []
    for index, (task, head) in enumerate(
        zip(cross.decision.taxonomy.tasks, cross.decision.heads, strict=True)
    ):
        least = [float(each.least[index]) for each in found]
        cells: list[Cell] = ["never" if each > 1 else each for each in least]
        is_pooled = any(each.is_pooled[index] for each in found)
        numbers = (head.labels, head.temperature, head.prior_exponent, head.tau)
        rows.append([task.name, *numbers, *cells, "all attributes" if is_pooled else "its own"])
    columns = ("attribute", "labels", "temperature", "prior exponent", "tau")
    thresholds = (f"threshold for {target:.0%}" for target in targets)
    table = Table((*columns, *thresholds, "threshold from"), rows)
    blocks = [Text(_THRESHOLDS, is_note=True), table]
    return Fold("Every attribute", f"{len(rows)} rows", blocks)
