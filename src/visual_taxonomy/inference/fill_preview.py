"""What a filling would do at several target precisions, without writing anything.

Shapes: N rows, K categories, A slots.
"""

from collections.abc import Callable, Sequence

import numpy as np

from visual_taxonomy.inference.cell_list import HoleAnswers, bits_of_cells
from visual_taxonomy.inference.filling import Filling
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.witnesses.combination import IMAGE


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
    rows, numbers = filling.rows, filling.with_holes
    by_slot = [_least(predictor, target) for target in targets]
    found = {target: np.zeros_like(filling.holes.is_hole) for target in targets}
    unreadable = 0
    for scores in HoleAnswers(predictor).predict_table(rows):
        # -1 is no class; what is read in its place counts for nothing.
        chosen = np.maximum(scores.classes, 0)[..., None]
        sure = np.take_along_axis(scores.probabilities, chosen, axis=2)[..., 0]
        places = numbers[scores.rows]
        is_open = filling.holes.is_hole[places] & (scores.classes >= 0)
        bits, categories = bits_of_cells(scores), rows.categories[scores.rows]
        for target, tables in zip(targets, by_slot, strict=True):
            is_sure = np.zeros_like(is_open)
            for combination, least in tables.items():
                is_sure |= (bits == combination) & (sure >= least[categories])
            found[target][places] = is_open & is_sure
        unreadable += len(scores.problems)
        on_progress(int(scores.rows[-1]) + 1)
    return found, unreadable


def _least(predictor: Predictor, target: float) -> dict[int, np.ndarray]:
    """Combination of witnesses -> [K, A] least probability of what it fills."""
    assert predictor.decision is not None  # or the target precision was refused
    decisions = {IMAGE: predictor.decision}
    if predictor.witnesses is not None:
        combinations = predictor.witnesses.combinations
        decisions |= {bits: each.decision for bits, each in combinations.items()}
    slots = predictor.taxonomy.slots
    return {
        bits: _of_slots(slots, decision.thresholds(predictor.rule, target).least)
        for bits, decision in decisions.items()
    }


def _of_slots(slots: Sequence[Sequence[int]], values: np.ndarray) -> np.ndarray:
    """[K, A] of values per task; above any probability where there is no slot."""
    table = np.full((len(slots), max(map(len, slots))), np.inf)
    for category, tasks in enumerate(slots):
        table[category, : len(tasks)] = values[list(tasks)]
    return table
