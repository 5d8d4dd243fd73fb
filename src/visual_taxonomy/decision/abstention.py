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

GRID = (*(round(x / 100, 2) for x in range(0, 100, 2)), 0.985, 0.99, 0.995)
"""Thresholds that are tried; the first accepts every answer."""

LEVEL = 0.5
"""Chance that the bound is below the error: the bound is a median estimate of it."""

FEW_LABELS = 100
"""With fewer held-out labels a head takes the threshold of all heads together."""

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
    is_pooled = accepted[:, 0] < FEW_LABELS
    own = _smallest(accepted, errors, target_precision, grid)
    pooled = _smallest(accepted.sum(0)[None], errors.sum(0)[None], target_precision, grid)
    return Thresholds(np.where(is_pooled, pooled, own), is_pooled)


def _smallest(
    accepted: np.ndarray, errors: np.ndarray, target_precision: float, grid: np.ndarray
) -> np.ndarray:
    """[H] of the thresholds up to the first failure, from the strictest down."""
    share = np.array(1.0 - target_precision)
    # The bound is at most `share` where so few errors are this improbable at an error of `share`.
    passes = binomial_cdf(errors, accepted, share) <= LEVEL
    # So few accepted rows that not even none wrong would pass say nothing, and end no walk.
    is_silent = binomial_cdf(np.zeros(1), accepted, share) > LEVEL
    has_failed = np.logical_or.accumulate((~passes & ~is_silent)[:, ::-1], axis=1)[:, ::-1]
    is_kept = passes & ~has_failed
    first = is_kept.argmax(axis=1)
    return np.where(is_kept.any(axis=1), grid[first], NEVER)
