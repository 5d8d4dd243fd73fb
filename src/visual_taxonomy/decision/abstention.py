"""When to say "unknown": thresholds on the calibrated probability of the chosen class.

The rows that a model answers with at least a confidence t are its accepted rows. Their error is a
share of few rows, so what counts is its Clopper-Pearson upper bound. Thresholds are tried from the
strictest to the loosest and the walk ends at the first that fails: tests in an order that is fixed
beforehand each keep the whole level, and need no correction for their number.

Shapes: H heads, G thresholds.
"""

from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.binomial import binomial_cdf
from visual_taxonomy.errors import InputError

_LOW = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.17)
GRID = (*_LOW, *(x / 100 for x in range(20, 70, 2)), *(x / 100 for x in range(70, 100)), 0.995)
"""Thresholds that are tried; the first accepts every answer. They are closest above 0.7, where
precision is bought dearest, and near 0, where the edges of conformal sets lie."""

LEVEL = 0.5
"""Chance that the bound is below the true error, so that half of the heads err a little more than
allowed and half a little less. With 0.05 each head would keep its promise almost surely, and all of
them together would answer far less and far better than asked."""

FEW_LABELS = 100
"""With fewer held-out labels a head takes the threshold of all heads together."""

FEW_ACCEPTED = 50
"""The walk begins at so many accepted answers; one error among the first ten would end it."""

NEVER = 2.0
"""The threshold that no probability reaches."""


class AcceptedCounts(NamedTuple):
    """Held-out answers of a head at or above each threshold of the grid."""

    accepted: tuple[int, ...]
    """[G] how many."""
    errors: tuple[int, ...]
    """[G] how many of them were wrong."""


def check_target(target_precision: float) -> None:
    """Refuse a target precision that no threshold has a meaning for.

    Raises:
        InputError: It is not between 0 and 1.
    """
    if not 0 < target_precision < 1:
        raise InputError(
            f"target_precision: {target_precision}, expected a share between 0 and 1, such as 0.95"
        )


def count_accepted(confidence: np.ndarray, is_error: np.ndarray) -> AcceptedCounts:
    """Accepted answers and errors among them at each threshold of `GRID`.

    Args:
        confidence: [N] calibrated probabilities of the chosen classes.
        is_error: [N] bool.

    Example:
        >>> counts = count_accepted(np.array([0.5, 0.9]), np.array([True, False]))
        >>> counts.accepted[0], counts.errors[0], counts.accepted[-1]
        (2, 1, 0)
    """
    # "right": an answer just at a threshold is accepted, as `Decision.answer` accepts it.
    place = np.searchsorted(GRID, confidence, side="right") - 1
    accepted = np.bincount(place, minlength=len(GRID))[::-1].cumsum()[::-1]
    errors = np.bincount(place[is_error], minlength=len(GRID))[::-1].cumsum()[::-1]
    return AcceptedCounts(tuple(accepted.tolist()), tuple(errors.tolist()))


class Thresholds(NamedTuple):
    """Least confidence of a published answer, per head."""

    least: np.ndarray
    """[H]; `NEVER` where the target cannot be reached."""
    is_pooled: np.ndarray
    """[H] bool: has too few labels, so it is the threshold of all heads together."""


def head_thresholds(
    accepted: np.ndarray, errors: np.ndarray, target_precision: float, grid: np.ndarray
) -> Thresholds:
    """The smallest thresholds whose accepted answers err at most by 1 - target_precision.

    Args:
        accepted: [H, G] held-out answers at or above each threshold.
        errors: [H, G] wrong ones among them.
        target_precision: Between 0 and 1.
        grid: [G] thresholds, ascending.

    Raises:
        InputError: The target is not between 0 and 1.

    References:
        Geifman and El-Yaniv, NeurIPS 2017 (selective classification with a bound); Bauer, 1991, and
        Angelopoulos et al., Learn then Test, 2021 (fixed-sequence testing).

    Example:
        >>> accepted, errors = np.array([[200, 150, 20]]), np.array([[60, 3, 0]])
        >>> head_thresholds(accepted, errors, 0.9, np.array([0.0, 0.5, 0.9])).least
        array([0.5])
    """
    check_target(target_precision)
    # The first threshold is 0, so that all labels of a head are accepted there.
    is_pooled = accepted[:, 0] < FEW_LABELS
    own = _smallest(accepted, errors, target_precision, grid)
    pooled = _smallest(accepted.sum(0)[None], errors.sum(0)[None], target_precision, grid)
    return Thresholds(np.where(is_pooled, pooled, own), is_pooled)


def _smallest(
    accepted: np.ndarray, errors: np.ndarray, target_precision: float, grid: np.ndarray
) -> np.ndarray:
    """[H] of the thresholds up to the first failure, from the strictest down."""
    # The bound is at most 1 - target where so few errors are this improbable at that error.
    is_sure = binomial_cdf(errors, accepted, np.array(1.0 - target_precision)) <= LEVEL
    is_tried = accepted >= FEW_ACCEPTED
    # Too few accepted answers are no failure: there the walk has not begun.
    failures = (is_tried & ~is_sure)[:, ::-1]
    has_failed = np.logical_or.accumulate(failures, axis=1)[:, ::-1]
    is_kept = is_tried & is_sure & ~has_failed
    # argmax finds the loosest of the kept ones, but 0 where none is kept: that would accept all.
    return np.where(is_kept.any(axis=1), grid[is_kept.argmax(axis=1)], NEVER)
