"""What a filling would do at several target precisions, without writing anything.

Shapes: N rows, K categories, A slots.
"""

from collections.abc import Callable, Sequence

import numpy as np

from visual_taxonomy.inference.cell_list import HoleAnswers
from visual_taxonomy.inference.filling import Filling
from visual_taxonomy.inference.prediction import Predictor


def would_fill(
    predictor: Predictor,
    filling: Filling,
    targets: Sequence[float],
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[dict[float, np.ndarray], int]:
    """Which holes would be filled at each target precision, [N, A] bool, and the images missing.

    Args:
        predictor: The model, answering by `metric`, at any target precision.
        filling: What would be filled.
        targets: Each between 0 and 1.
        on_progress: Called with the number of rows done.
    """
    decision, rows, numbers = predictor.decision, filling.rows, filling.with_holes
    assert decision is not None  # or the target precision was refused
    by_slot = [
        _of_slots(rows.taxonomy.slots, decision.thresholds(predictor.rule, t).least)
        for t in targets
    ]
    found = {target: np.zeros_like(filling.holes.is_hole) for target in targets}
    unreadable = 0
    for scores in HoleAnswers(predictor).predict_table(rows):
        # -1 is no class; what is read in its place counts for nothing.
        chosen = np.maximum(scores.classes, 0)[..., None]
        sure = np.take_along_axis(scores.probabilities, chosen, axis=2)[..., 0]
        places = numbers[scores.rows]
        is_open = filling.holes.is_hole[places] & (scores.classes >= 0)
        for target, least in zip(targets, by_slot, strict=True):
            found[target][places] = is_open & (sure >= least[rows.categories[scores.rows]])
        unreadable += len(scores.problems)
        on_progress(int(scores.rows[-1]) + 1)
    return found, unreadable


def _of_slots(slots: Sequence[Sequence[int]], values: np.ndarray) -> np.ndarray:
    """[K, A] of values per task; above any probability where there is no slot."""
    table = np.full((len(slots), max(map(len, slots))), np.inf)
    for category, tasks in enumerate(slots):
        table[category, : len(tasks)] = values[list(tasks)]
    return table
