"""Predictions of labelled rows as held-out rows, which fits and reports are made from.

Shapes: N rows, A slots, C classes of the widest task.
"""

import numpy as np

from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.inference.prediction import Predictor


def as_held_out(
    predictor: Predictor, table: Table, probabilities: np.ndarray, groups: np.ndarray
) -> HeldOut:
    """The predictions of a table with its labels.

    Classes that only the table knows (`--unknown_labels wrong`) have probability 0 and no training
    label. A checkpoint of the original system does not say how many labels it was trained on: all
    its counts are 0.

    Args:
        predictor: The model; its classes come first in every task of the table.
        table: N rows, which it was not trained on.
        probabilities: [N, A, C] float32 of the model; 0 where it has no answer.
        groups: [N] int64; near-duplicates have the same one.
    """
    taxonomy = table.taxonomy
    widest = max(len(task.classes) for task in taxonomy.tasks)
    missing = widest - probabilities.shape[2]
    padded = np.pad(probabilities, ((0, 0), (0, 0), (0, missing))) if missing else probabilities
    counts = {}
    for task in taxonomy.tasks:
        known = list(predictor.class_counts.get(task.name, ()))
        counts[task.name] = known + [0] * (len(task.classes) - len(known))
    rows = table.ids, table.categories, groups, padded, table.targets
    return HeldOut(taxonomy, counts, *rows)
