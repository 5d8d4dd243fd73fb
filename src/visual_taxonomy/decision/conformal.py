"""Sets of classes that hold the true one with a given chance.

A head keeps every class whose calibrated probability is at least t, and t is the largest for which
enough held-out labels were kept: ceil((n + 1) * coverage) of n. A new label of the same head is
then kept with a chance of at least `coverage`, whatever the model is worth (split conformal
prediction with the least ambiguous sets, LAC). Where one class is left, it is an answer; where
more or none are, the answer is unknown.

Shapes: H heads, G thresholds.
"""

import numpy as np

from visual_taxonomy.decision.abstention import FEW_LABELS, GRID
from visual_taxonomy.errors import InputError


def count_covered(true_probabilities: np.ndarray) -> tuple[int, ...]:
    """[G] labels whose calibrated probability is at or above each threshold of `GRID`.

    Args:
        true_probabilities: [N] probabilities of the true classes.

    Example:
        >>> counts = count_covered(np.array([0.1, 0.75]))
        >>> counts[0], counts[1], counts[-1]
        (2, 2, 0)
    """
    place = np.searchsorted(GRID, true_probabilities, side="right") - 1
    return tuple(np.bincount(place, minlength=len(GRID))[::-1].cumsum()[::-1].tolist())


def set_thresholds(covered: np.ndarray, coverage: float, grid: np.ndarray) -> np.ndarray:
    """[H] least probability of a class in the set; heads with few labels take that of all.

    Args:
        covered: [H, G] of `count_covered`.
        coverage: Chance that the set holds the true class, between 0 and 1.
        grid: [G] thresholds, ascending from 0.

    Raises:
        InputError: The coverage is not between 0 and 1.

    References:
        Sadinle, Lei and Wasserman, Least ambiguous set-valued classifiers, JASA 114, 2019;
        Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005.

    Example:
        >>> set_thresholds(np.array([[199, 190, 100]]), 0.9, np.array([0.0, 0.2, 0.5]))
        array([0.2])
    """
    if not 0 < coverage < 1:
        raise InputError(f"coverage: {coverage}, expected a share between 0 and 1, such as 0.95")
    pooled = np.broadcast_to(covered.sum(axis=0), covered.shape)
    # At the threshold 0 every label is counted, so the first column is n.
    counts = np.where(covered[:, :1] < FEW_LABELS, pooled, covered)
    # Rounding must not ask for one label more: 0.9 * 200 is above 180 in float64.
    needed = np.ceil((counts[:, :1] + 1) * coverage - 1e-9)
    is_enough = counts >= needed
    # Counts fall along the grid. With too few labels not even 0 is enough: every class stays.
    return grid[np.maximum(is_enough.sum(axis=1) - 1, 0)]
