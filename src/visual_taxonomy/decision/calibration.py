"""Probabilities that mean what they say: temperature and prior exponent of each head.

    softmax(log p / T + b log prior)

With a = 1 / T the scores are linear in (a, b) and the negative log-likelihood (NLL) is convex in
them. Each head minimises its own NLL plus a penalty: the quadratic that `shrinkage` average labels
would put around the fit over all heads. A head without labels thus gets that fit, and one with
many its own.

Shapes: M cells, T heads, C classes of the widest head.
"""

from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.cells import NOWHERE, Cells

SHRINKAGE = 100.0
"""Labels of a head at which its own fit and that of all heads count alike."""

_STEEPEST = 20.0
"""Bounds of a = 1 / T are 1/20 and 20; a head that is always right would drive it to infinity."""

_LONGEST_STEP = 0.5
"""Of a and b in one Newton step. Where the NLL is flat a full step would leap."""

_STEPS = 60
_TOLERANCE = 1e-5
"""Newton steps at most, and the step that ends them: the one after it would be its square."""

_RIDGE = 1e-6 * np.eye(2)
"""Without it a head of one class, or equal shares of all classes, would make a matrix singular."""

_CELLS_AT_ONCE = 8192
"""Cells worked on together, so that the tables of a step stay in the processor's cache."""


class Calibration(NamedTuple):
    """The fit of every head."""

    slope: np.ndarray
    """[T] a = 1 / T."""
    exponent: np.ndarray
    """[T] b."""


class _Sums(NamedTuple):
    """Gradient and curvature of the NLL in (a, b), summed over the cells of each unit."""

    gradient: np.ndarray
    """[U, 2]"""
    curvature: np.ndarray
    """[U, 2, 2]"""


def fit_calibration(
    cells: Cells, shrinkage: float = SHRINKAGE, start: Calibration | None = None
) -> Calibration:
    """Fit (a, b) of every head.

    Args:
        cells: Held-out labels; none give a = 1, b = 0.
        shrinkage: Labels of a head at which its fit and that of all heads count alike; >= 0,
            infinite for one fit for all.
        start: A fit of most of the same cells, from which fewer steps are needed.

    References:
        Guo et al., On calibration of modern neural networks, ICML 2017 (temperature).
    """
    together = np.zeros(len(cells), dtype=np.int64)
    # One label's worth of doubt keeps a few labels, or none, from an extreme fit.
    identity = np.array([[1.0, 0.0]])
    # The NLL is convex: where the steps start changes their number, not where they end.
    guess = identity if start is None else np.stack(start, axis=1).mean(axis=0, keepdims=True)
    pooled = _minimise(cells, together, identity, np.eye(2), guess)
    shared = np.repeat(pooled, len(cells.sizes), axis=0)
    # Infinity times a curvature of 0 is NaN, and without cells there is no average label.
    if not np.isfinite(shrinkage) or not len(cells):
        return Calibration(shared[:, 0], shared[:, 1])
    # What one average label says of (a, b).
    label = _sums(cells, together, pooled).curvature[0] / len(cells)
    guess = shared if start is None else np.stack(start, axis=1)
    found = _minimise(cells, cells.heads, shared, shrinkage * label + _RIDGE, guess)
    return Calibration(found[:, 0], found[:, 1])


def calibrated(cells: Cells, calibration: Calibration) -> np.ndarray:
    """[M, C] calibrated probabilities; 0 beyond the classes of a head."""
    parts = [
        _softmax(cells, part, calibration.slope[heads], calibration.exponent[heads])
        for part, heads in _parts(cells)
    ]
    return np.concatenate(parts) if parts else np.zeros_like(cells.logs)


def _minimise(
    cells: Cells, units: np.ndarray, centres: np.ndarray, penalty: np.ndarray, guess: np.ndarray
) -> np.ndarray:
    """[U, 2] minima of NLL + (x - centre)' penalty (x - centre) / 2, by Newton's method."""
    found = guess
    for _ in range(_STEPS):
        sums = _sums(cells, units, found)
        gradient = sums.gradient + (found - centres) @ penalty
        steps = np.linalg.solve(sums.curvature + penalty, gradient[..., None])[..., 0]
        longest = np.abs(steps).max(axis=1, keepdims=True)
        # 1e-300: where nothing moves any more, 0.5 / 0 would warn.
        moved = found - steps * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        moved[:, 0] = moved[:, 0].clip(1 / _STEEPEST, _STEEPEST)
        change = np.abs(moved - found).max(initial=0.0)
        found = moved
        if change < _TOLERANCE:
            break
    return found


def _sums(cells: Cells, units: np.ndarray, found: np.ndarray) -> _Sums:
    """Sums over the cells of each of U units at its (a, b)."""
    totals = np.zeros((5, len(found)))
    for part, heads in _parts(cells):
        unit = units[part]
        shares = _softmax(cells, part, found[unit, 0], found[unit, 1])
        logs, priors = cells.logs[part], cells.log_prior[heads]
        # Derivatives of -log softmax: means under the model minus the true class, then covariances.
        # Classes that a head does not have are 0 in `shares`, so their padding counts for nothing.
        mean_log, mean_prior = (np.einsum("mc,mc->m", shares, x) for x in (logs, priors))
        own = np.arange(len(heads)), cells.labels[part]
        values = (
            mean_log - logs[own],
            mean_prior - priors[own],
            np.einsum("mc,mc,mc->m", shares, logs, logs) - mean_log**2,
            np.einsum("mc,mc,mc->m", shares, logs, priors) - mean_log * mean_prior,
            np.einsum("mc,mc,mc->m", shares, priors, priors) - mean_prior**2,
        )
        for total, value in zip(totals, values, strict=True):
            # minlength keeps the place of units without cells.
            total += np.bincount(unit, value, minlength=len(found))
    # The matrix is symmetric: the covariance stands in it twice.
    curvature = totals[[2, 3, 3, 4]].T.reshape(-1, 2, 2)
    return _Sums(totals[:2].T, curvature)


def _softmax(cells: Cells, part: slice, slope: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    heads = cells.heads[part]
    scores = slope[:, None] * cells.logs[part] + exponent[:, None] * cells.log_prior[heads]
    scores[~cells.has_class[heads]] = NOWHERE
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _parts(cells: Cells) -> list[tuple[slice, np.ndarray]]:
    starts = range(0, len(cells), _CELLS_AT_ONCE)
    parts = [slice(start, start + _CELLS_AT_ONCE) for start in starts]
    return [(part, cells.heads[part]) for part in parts]
