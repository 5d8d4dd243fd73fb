"""What simple methods reach on the same rows, by `vtax probe`."""

from collections.abc import Mapping, Sequence

from visual_taxonomy.decision.intervals import ScoreIntervals
from visual_taxonomy.reporting.html.blocks import Block, Cell, Fold, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.sections.overall import bracket
from visual_taxonomy.training.probing.record import Line, ProbeRecord

_NOTE = (
    "Fitted to the same training labels and scored on the same validation rows as this model. "
    "Ranges of two lines may overlap though one is better on the same rows: `vtax compare-runs` "
    "compares this run and that of the probe in pairs."
)


def baselines(context: Context) -> Sequence[Block] | Absent:
    """The lines of a probe beside the scores of the model, overall and by attribute."""
    record = context.probe
    if record is None:
        return Absent("no `vtax probe` of the same rows in its folder or in one beside it")
    scores = {name: line.overall for name, line in record.lines.items()}
    rows = [_row(name, each) for name, each in scores.items()]
    rows.append(_row("this model", context.intervals.overall))
    table = Table(
        ("line", "HM", "", "range", "micro", "macro"), rows, strong=frozenset({len(rows) - 1})
    )
    by_attribute = {name: line for name, line in record.lines.items() if line.attributes}
    return [
        Text(_summary(record, context.intervals.overall)),
        table,
        Fold("HM by attribute", f"{len(by_attribute)} lines", [_attributes(context, by_attribute)]),
        Text(_NOTE, is_note=True),
    ]


def _summary(record: ProbeRecord, own: ScoreIntervals) -> str:
    best = max(record.lines, key=lambda name: record.lines[name].overall.hm.value)
    value = record.lines[best].overall.hm.value
    return (
        f"Simple methods on the features of the frozen {record.backbone}: {record.neighbours} "
        f"neighbours vote, linear probes with C = {record.c:g}. The best of them ({best}) reaches "
        f"HM {value:.3f}, this model {own.hm.value:.3f}."
    )


def _row(name: str, scores: ScoreIntervals) -> list[Cell]:
    hm = scores.hm
    span = Span(hm.value, hm.low, hm.high)
    return [name, hm.value, span, bracket(hm), scores.micro.value, scores.macro.value]


def _attributes(context: Context, lines: Mapping[str, Line]) -> Table:
    rows: list[list[Cell]] = []
    for name, own in context.intervals.attributes.items():
        of_lines = [line.attributes.get(name) for line in lines.values()]
        values = [None if each is None else each.value for each in (*of_lines, own.hm)]
        # NaN is not equal to itself: an attribute without labels on these rows.
        rows.append([name, *(value if value == value else None for value in values)])
    return Table(("attribute", *lines, "this model"), rows)
