"""The score of every attribute against the most frequent class."""

from collections.abc import Sequence

from visual_taxonomy.evaluation import CategoryScores
from visual_taxonomy.reporting.html.blocks import Block, Cell, Span, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.sections.overall import bracket


def attributes(context: Context) -> Sequence[Block] | Absent:
    """A table for each category, the best attribute first, those without labels last."""
    note = (
        "The dot is the HM of the attribute, the band its range, the mark the most frequent class. "
        "Orange: the model is behind it. Few labels make wide ranges."
    )
    tables = [_table(context, category) for category in context.scores.categories]
    return [Text(note, is_note=True), *tables]


def _table(context: Context, category: CategoryScores) -> Table:
    references = {
        (each.name, attribute.name): attribute.hm
        for each in (context.baseline.categories if context.baseline else ())
        for attribute in each.attributes
    }
    best_first = sorted(category.attributes, key=lambda each: -1.0 if each.hm is None else each.hm)
    rows: list[list[Cell]] = []
    for scores in reversed(best_first):
        if scores.hm is None:
            rows.append([scores.name, None, Span(None), None, None, None, None, 0])
            continue
        reference = references.get((category.name, scores.name))
        interval = context.intervals.attributes[f"{category.name}/{scores.name}"].hm
        span = Span(scores.hm, interval.low, interval.high, reference)
        rows.append(
            [
                *(scores.name, scores.hm, span, bracket(interval)),
                *(reference, scores.micro, scores.macro, scores.support),
            ]
        )
    return Table(
        ("attribute", "HM", "", "range", "baseline", "micro", "macro", "labels"),
        rows,
        caption=category.name,
    )
