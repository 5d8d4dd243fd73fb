"""Which classes are taken for which, in the attributes that are answered worst."""

from collections.abc import Sequence

import numpy as np

from visual_taxonomy.evaluation import confusion_matrix
from visual_taxonomy.reporting.html.blocks import Block, Fold, Matrix, Text
from visual_taxonomy.reporting.html.context import Absent, Context, HeadAnswers

_HEADS = 8
_CLASSES = 14
"""Most classes of a matrix; the rest becomes one line."""
_LEAST_LABELS = 20
"""Of an attribute; with fewer, its score says little."""


def confusions(context: Context) -> Sequence[Block] | Absent:
    """Matrices of the worst attributes that have enough labels."""
    scores = {
        f"{category.name}/{attribute.name}": attribute
        for category in context.scores.categories
        for attribute in category.attributes
    }
    candidates = [
        (scores[answers.head.task.name].hm or 0.0, answers)
        for answers in context.heads
        if len(answers.head.labels) >= _LEAST_LABELS and len(answers.head.task.classes) > 1
    ]
    if not candidates:
        return Absent(
            f"no attribute has two classes and {_LEAST_LABELS} held-out labels to confuse"
        )
    candidates.sort(key=lambda candidate: candidate[0])
    note = (
        f"The {min(_HEADS, len(candidates))} attributes with the lowest HM of those with at least "
        f"{_LEAST_LABELS} held-out labels. A row is a true class, a column what was answered; the "
        "shade is the share of the row."
    )
    folds = [
        _fold(hm, answers, is_open=number == 0)
        for number, (hm, answers) in enumerate(candidates[:_HEADS])
    ]
    return [Text(note, is_note=True), *folds]


def _fold(hm: float, answers: HeadAnswers, is_open: bool) -> Fold:
    task = answers.head.task
    counts = confusion_matrix(answers.classes, answers.head.labels, len(task.classes))
    names, shown = _most_frequent(list(task.classes), counts)
    title = f"{task.category} · {task.attribute}"
    worst = _worst_pair(names, shown)
    return Fold(
        title,
        f"HM {hm:.3f} · {len(answers.head.labels):,} labels",
        [*([Text(worst)] if worst else []), Matrix(names, shown.tolist())],
        is_open,
    )


def _most_frequent(names: list[str], counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The classes that occur, the most frequent first, and the rest added up as one."""
    totals = counts.sum(1) + counts.sum(0)
    order = [index for index in np.argsort(-counts.sum(1), kind="stable") if totals[index]]
    most = _CLASSES if len(order) > _CLASSES + 1 else len(order)  # one other has a name
    kept, rest = order[:most], order[most:]
    if not rest:
        return [names[index] for index in kept], counts[np.ix_(kept, kept)]
    groups = [*([index] for index in kept), rest]
    merged = np.array([[counts[np.ix_(a, b)].sum() for b in groups] for a in groups])
    return [*(names[index] for index in kept), f"{len(rest)} others"], merged


def _worst_pair(names: list[str], counts: np.ndarray) -> str:
    """The confusion that costs most labels, in words."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    if not errors.any():
        return ""
    true, answered = np.unravel_index(errors.argmax(), errors.shape)
    return (
        f"Most frequent confusion: “{names[true]}” answered as “{names[answered]}”, "
        f"{errors[true, answered]:,} of {counts[true].sum():,}."
    )
