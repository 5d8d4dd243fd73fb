"""An offset for each class: the freest rule, by coordinate ascent on the metric.

Shapes: n cells of a head, C classes, D offsets that are tried.
"""

import numpy as np

from visual_taxonomy.decision.cells import Cells

FEWEST_LABELS = 300
"""A head with fewer gets no offsets: there they only ever fitted noise."""

SHRINKAGE = 30.0
"""An offset d of a head with n labels costs SHRINKAGE / n times d squared, in HM."""

_TRIED = np.round(np.arange(-4, 5) / 4, 2)
_TINY = 1e-12
"""Stands for a denominator of 0, whose numerator is 0 too."""

_SWEEPS = 2
"""Rounds over the classes; later ones change hardly anything but the rows fitted on."""


def fit_offsets(cells: Cells, tau: np.ndarray, shrinkage: float = SHRINKAGE) -> np.ndarray:
    """[T, C] offsets that raise the HM of each head on these cells, 0 for heads with few labels.

    Args:
        cells: Held-out labels.
        tau: [T] exponents of the rule that the offsets are added to.
        shrinkage: See `SHRINKAGE`; infinite gives offsets of 0.
    """
    offsets = np.zeros(cells.log_prior.shape)
    if not np.isfinite(shrinkage):
        return offsets
    ends = np.cumsum(cells.support)
    for head in np.flatnonzero(cells.support >= FEWEST_LABELS):
        part = slice(ends[head] - cells.support[head], ends[head])
        size = cells.sizes[head]
        scores = cells.logs[part, :size] - tau[head] * cells.log_prior[head, :size]
        offsets[head, :size] = _ascend(scores, cells.labels[part], shrinkage)
    return offsets


def _ascend(scores: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    """[C] offsets of one head with scores [n, C]."""
    size = scores.shape[1]
    offsets = np.zeros(size)
    support = np.bincount(labels, minlength=size)
    prices = shrinkage / len(labels) * _TRIED**2
    for _ in range(_SWEEPS if size > 1 else 0):
        before = offsets.copy()
        for label in np.flatnonzero(support):
            others = scores + offsets
            others[:, label] = -np.inf
            rivals = others.argmax(axis=1)
            # The offset decides only between this class and the best of the others, so that one
            # comparison serves all D.
            lead = scores[:, label] - others.max(axis=1)
            chosen = np.where(lead + _TRIED[:, None] > 0, label, rivals)
            scored = _hm(chosen, labels, support)
            # Of equal ones the smallest: the price is what tells them apart.
            offsets[label] = _TRIED[(scored - prices).argmax()]
        if (offsets == before).all():
            break
    return offsets


def _hm(chosen: np.ndarray, labels: np.ndarray, support: np.ndarray) -> np.ndarray:
    """[D] harmonic means of micro and macro F1 of the classes chosen, [D, n]."""
    size = len(support)
    flat = chosen + size * np.arange(len(chosen))[:, None]
    shape = (len(chosen), size)
    predicted = np.bincount(flat.ravel(), minlength=flat.shape[0] * size).reshape(shape)
    correct = np.bincount(flat[chosen == labels], minlength=flat.shape[0] * size).reshape(shape)
    either = predicted + support
    macro = (2.0 * correct / np.maximum(either, 1)).sum(axis=1) / (either > 0).sum(axis=1)
    # Here every cell has an answer, so that micro F1 is the accuracy.
    micro = correct.sum(axis=1) / len(labels)
    return 2.0 * micro * macro / np.maximum(micro + macro, _TINY)
