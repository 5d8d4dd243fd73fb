"""Unknown labels that the model may fill in."""

import numpy as np

from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.decision.decision import Answers
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.taxonomy import UNKNOWN, Task


def find_fillable_holes(held_out: HeldOut, answers: Answers) -> list[Finding]:
    """Unknown labels whose answer is sure enough to be published, the surest first.

    Args:
        held_out: The rows.
        answers: For these rows, `is_unknown` where they are not sure enough: of
            `decision.fitting.cross_fitted` at the precision that is wanted.
    """
    found = [
        _finding(held_out, answers, row, slot, held_out.taxonomy.tasks[task])
        for category, slots in enumerate(held_out.taxonomy.slots)
        for slot, task in enumerate(slots)
        for row in _fillable(held_out, answers, category, slot)
    ]
    return sorted(found, key=lambda each: -each.score)


def _fillable(held_out: HeldOut, answers: Answers, category: int, slot: int) -> list[int]:
    is_hole = (held_out.categories == category) & (held_out.targets[:, slot] == UNKNOWN)
    is_answered = ~answers.is_unknown[:, slot] & (answers.classes[:, slot] != UNKNOWN)
    return np.flatnonzero(is_hole & is_answered).tolist()


def _finding(held_out: HeldOut, answers: Answers, row: int, slot: int, task: Task) -> Finding:
    suggested = int(answers.classes[row, slot])
    probability = float(answers.probabilities[row, slot, suggested])
    return Finding(
        row=row,
        id=str(held_out.ids[row]),
        task=task,
        label=None,
        suggested=task.classes[suggested],
        probability=probability,
        probability_of_label=None,
        score=probability,
        group=int(held_out.groups[row]),
    )
