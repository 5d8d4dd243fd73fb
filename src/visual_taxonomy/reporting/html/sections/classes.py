"""Support, precision, recall and F1 of every class."""

from collections.abc import Mapping, Sequence

from visual_taxonomy.evaluation import AttributeScores, CategoryScores
from visual_taxonomy.reporting.html.blocks import Block, Cell, Fold, Share, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context

_MOST_ROWS = 4000
"""Of all tables together, about 1 MB of HTML; of longer tails the most frequent are shown."""

_COLUMNS = ("class", "training labels", "held-out labels", "precision", "recall", "F1")


def classes(context: Context) -> Sequence[Block] | Absent:
    """A table for each attribute, folded by category."""
    tasks = context.held_out.taxonomy.tasks
    most = max(4, _MOST_ROWS // len(tasks))
    note = (
        "Precision: of the answers of this class, the share that is right. Recall: of the labels "
        "of this class, the share that was found. Classes that are in neither labels nor answers "
        "are not part of a macro score; they have no figures here."
    )
    counts = context.held_out.class_counts
    folds = [
        Fold(
            category.name,
            f"{_hm(category)} · {category.support:,} labels",
            [_fold(category, attribute, counts, most) for attribute in category.attributes],
        )
        for category in context.scores.categories
    ]
    return [Text(note, is_note=True), *folds]


def _hm(scores: CategoryScores | AttributeScores) -> str:
    return "no held-out label" if scores.hm is None else f"HM {scores.hm:.3f}"


def _fold(
    category: CategoryScores,
    attribute: AttributeScores,
    class_counts: Mapping[str, Sequence[int]],
    most: int,
) -> Fold:
    counts = class_counts[f"{category.name}/{attribute.name}"]
    lines = sorted(zip(attribute.classes, counts, strict=True), key=lambda line: -line[0].support)
    rows: list[list[Cell]] = [
        [
            scores.name,
            count,
            scores.support,
            *(
                Share(value if scores.occurs else None)
                for value in (scores.precision, scores.recall, scores.f1)
            ),
        ]
        for scores, count in lines[:most]
    ]
    blocks: list[Block] = [Table(_COLUMNS, rows)]
    if len(lines) > most:
        blocks.append(Text(f"{len(lines) - most:,} classes with fewer labels are not shown.", True))
    detail = f"{_hm(attribute)} · {attribute.support:,} labels · {len(lines)} classes"
    return Fold(attribute.name, detail, blocks)
