"""How far probabilities are from what happens: NLL, Brier score, calibration errors.

Bins hold equally many cells each. With bins of equal width most cells fall into the last one, and
implementations differ on where a confidence of exactly 1 goes.

Shapes: M labelled cells, C classes of the widest head, T heads, B samples.
"""

from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.bootstrap import Units, draw_weights
from visual_taxonomy.decision.intervals import Interval
from visual_taxonomy.decision.tables import FLOOR

BINS = 15
"""Bins of a calibration error: the usual number, by which published figures can be compared."""

_FEWEST_PER_BIN = 20
"""A classwise error of a small head uses fewer bins: one of 5 cells measures chance alone."""


class Measures(NamedTuple):
    """Means over the labelled cells, with bootstrap intervals; lower is better."""

    nll: Interval
    """Mean of -log p(true class)."""
    brier: Interval
    """Mean of sum_c (p_c - [c is true])^2, from 0 to 2."""
    ece: Interval
    """Top-label: mean over the bins of |accuracy - confidence| of the most probable class."""
    classwise_ece: Interval
    """Mean over heads, by their labels, of the mean over classes of |share - probability|."""


def measure(
    probabilities: np.ndarray,
    labels: np.ndarray,
    heads: np.ndarray,
    groups: np.ndarray,
    samples: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Measures:
    """Measure the calibration of probabilities that were not fitted on these labels.

    Weights are noise, and a calibration error counts noise of either sign, so that of a sample is
    above that of the cells. The samples are therefore shifted to have the measured value as mean.

    Args:
        probabilities: [M, C], each row summing to 1; 0 beyond the classes of its head.
        labels: [M] true classes.
        heads: [M] the head of each cell.
        groups: [M]; cells of one group are weighted together.
        samples: B.
        seed: Of the weights.
        level: Share of the samples within the interval.

    References:
        Nixon et al., Measuring calibration in deep learning, 2019 (equal mass, classwise);
        Guo et al., ICML 2017 (top-label).

    Example:
        >>> p = np.array([[0.8, 0.2], [0.6, 0.4]])
        >>> zeros = np.zeros(2, dtype=int)
        >>> found = measure(p, np.array([0, 1]), zeros, np.arange(2), samples=2)
        >>> round(found.nll.value, 4), round(found.brier.value, 4), round(found.ece.value, 4)
        (0.5697, 0.4, 0.4)
    """
    if not len(labels):
        return Measures(*[Interval(np.nan, np.nan, np.nan)] * 4)
    own = probabilities[np.arange(len(labels)), labels]
    top = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    # Sum of (p - [c is true])^2 over the classes, multiplied out: no [M, C] table of truths.
    brier = (probabilities**2).sum(axis=1) - 2.0 * own + 1.0
    errors: list[_Mean | _BinnedError] = [
        _Mean(-np.log(np.maximum(own, FLOOR))),
        _Mean(brier),
        _BinnedError((top == labels) - confidence, equal_mass_bins(confidence)),
        _classwise(probabilities, labels, heads),
    ]
    ones = np.ones((1, len(labels)))
    points = [float(error(ones)[0]) for error in errors]
    draws: list[list[np.ndarray]] = [[] for _ in errors]
    for weights in draw_weights(Units.of(groups), samples, seed):
        for found, error in zip(draws, errors, strict=True):
            found.append(error(weights))
    ends = ((1 - level) / 2, (1 + level) / 2)
    return Measures(
        *(
            _centred(point, np.concatenate(found), ends)
            for point, found in zip(points, draws, strict=True)
        )
    )


def _centred(point: float, draws: np.ndarray, ends: tuple[float, float]) -> Interval:
    low, high = (np.quantile(draws, ends) - draws.mean() + point).tolist()
    # The shift can take the lower end below 0, where no error lies.
    return Interval(point, max(low, 0.0), high)


def equal_mass_bins(values: np.ndarray, bins: int = BINS) -> np.ndarray:
    """[M] bin of each value: 0 ... bins - 1 in ascending order, sizes differing by 1 at most.

    Example:
        >>> equal_mass_bins(np.array([0.9, 0.1, 0.5, 0.7]), bins=2)
        array([1, 0, 0, 1])
    """
    found = np.empty(len(values), dtype=np.int64)
    # Stable: many confidences are equal, and machines must not part them differently.
    found[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // len(values)
    return found


class _Mean:
    """Weighted means of a value, [B]."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return weights @ self._values / weights.sum(axis=1)


class _BinnedError:
    """Weighted sums over bins of |sum of residuals| by the weight of all cells, [B].

    Args:
        residuals: [L] what happened minus what was said.
        bins: [L]
        cells: [L] the cell of each entry; all cells in order if None.
        scale: [L] weight of the entry beside that of its cell; 1 if None.
    """

    def __init__(
        self,
        residuals: np.ndarray,
        bins: np.ndarray,
        cells: np.ndarray | None = None,
        scale: np.ndarray | None = None,
    ) -> None:
        self._values = residuals if scale is None else residuals * scale
        self._bins, self._cells = bins, cells

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        entries = weights if self._cells is None else weights[:, self._cells]
        sums = [np.abs(np.bincount(self._bins, row * self._values)).sum() for row in entries]
        return np.array(sums) / weights.sum(axis=1)


def _classwise(probabilities: np.ndarray, labels: np.ndarray, heads: np.ndarray) -> _BinnedError:
    """The error of every class of every head; the mean over classes is its scale."""
    parts: list[tuple[np.ndarray, ...]] = []
    # Bins are numbered through over heads and classes, so that one bincount sums them all.
    next_bin = 0
    for head in np.unique(heads):
        cells = np.flatnonzero(heads == head)
        # Classes beyond those of the head are 0 in every row, and in no label.
        size = np.flatnonzero(probabilities[cells].any(axis=0)).max(initial=0) + 1
        bins = int(np.clip(len(cells) // _FEWEST_PER_BIN, 1, BINS))
        for label in range(size):
            said = probabilities[cells, label]
            places = next_bin + equal_mass_bins(said, bins)
            scale = np.full(len(cells), 1.0 / size)
            parts.append(((labels[cells] == label) - said, places, cells, scale))
            next_bin += bins
    return _BinnedError(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
