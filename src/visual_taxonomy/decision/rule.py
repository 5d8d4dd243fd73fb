"""Which class to answer: the rule that serves the metric, and how much freedom it gets.

    argmax_c log p_c - tau log prior_c + offset_c

The metric is the mean over categories and attributes of the harmonic mean (HM) of micro and macro
F1. tau = 0 is the most probable class, which serves micro F1; a larger tau answers rare classes
more often, which serves macro F1. Freedom overfits at once: an exponent per head gains on the rows
it was fitted on and loses on others. So a head's exponent is drawn to the one of all heads, and
cross-validation chooses among four rules, the simplest of those that are as good.

Shapes: M cells, T heads, S classes of all heads, F folds, G exponents, C classes of a head.
"""

from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.cells import NOWHERE, Cells
from visual_taxonomy.decision.score_counts import ScoreCounts

RULES = ("argmax", "one tau", "tau per head", "offsets")
"""From the simplest to the freest."""

TAUS = np.round(np.arange(-10, 16) / 10, 1)
"""Exponents that are tried. A model trained with adjusted logits wants a negative one."""

SHRINKAGE = 100.0
"""A head with n labels pays SHRINKAGE / n times its squared distance from the one tau, in HM."""

_SMOOTH = 2
"""Exponents on either side that a value of the curve is averaged with: its noise is as large as its
slope near the top."""


class TauCounts(NamedTuple):
    """Counts of each class in each fold, for every exponent of `TAUS`."""

    labels: np.ndarray
    """[F, 1, S]"""
    predicted: np.ndarray
    """[F, G, S]"""
    correct: np.ndarray
    """[F, G, S]"""

    def without(self, folds: frozenset[int]) -> "TauCounts":
        """Sums over the other folds, [1, S] and [G, S]."""
        kept = [fold for fold in range(len(self.labels)) if fold not in folds]
        return TauCounts(*(array[kept].sum(axis=0) for array in self))


class Rule(NamedTuple):
    """What the rule adds to the logarithms."""

    tau: np.ndarray
    """[T]"""
    offsets: np.ndarray | None
    """[T, C], or None."""


def chosen_classes(cells: Cells, rule: Rule) -> np.ndarray:
    """[M] classes; the first of equals."""
    bias = -rule.tau[:, None] * cells.log_prior
    if rule.offsets is not None:
        bias = bias + rule.offsets
    # Beyond the classes of a head `logs` is 0, more than the logarithm of any probability.
    bias = np.where(cells.has_class, bias, NOWHERE)
    return (cells.logs + bias[cells.heads]).argmax(axis=1)


def count_taus(counts: ScoreCounts, cells: Cells, folds: np.ndarray, num_folds: int) -> TauCounts:
    """Count the answers of every exponent, fold by fold.

    Args:
        counts: Of the taxonomy.
        cells: Held-out labels.
        folds: [M] fold of each cell.
        num_folds: F.
    """
    # Fold and class in one number: one bincount counts all folds of an exponent.
    starts = counts.starts[cells.heads] + folds * counts.num_classes
    size = num_folds * counts.num_classes
    predicted, correct = np.zeros((2, len(TAUS), size))
    for place, tau in enumerate(TAUS):
        classes = chosen_classes(cells, Rule(np.full(len(cells.sizes), tau), None))
        predicted[place] = np.bincount(starts + classes, minlength=size)
        is_correct = classes == cells.labels
        correct[place] = np.bincount((starts + classes)[is_correct], minlength=size)
    labels = np.bincount(starts + cells.labels, minlength=size).astype(np.float64)
    shape = (-1, num_folds, counts.num_classes)
    by_fold = (array.reshape(shape).swapaxes(0, 1) for array in (labels, predicted, correct))
    return TauCounts(*by_fold)


def fit_taus(
    counts: ScoreCounts, sums: TauCounts, shrinkage: float = SHRINKAGE
) -> tuple[float, np.ndarray]:
    """The one tau of all heads, and a tau for each head that is drawn to it.

    Args:
        counts: Of the taxonomy.
        sums: Of `TauCounts.without`.
        shrinkage: See `SHRINKAGE`; infinite gives every head the one tau.

    Returns:
        The one tau, and [T].
    """
    of_heads = counts.scores(np.broadcast_to(sums.labels, sums.predicted.shape), *sums[1:]).hm
    curve = counts.mean(of_heads)
    # "edge": zeros beyond the ends would pull the curve down there.
    padded = np.pad(curve, _SMOOTH, mode="edge")
    width = 2 * _SMOOTH + 1
    smooth = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    # Where all are equal, as without labels, tau is 0.
    one = float(TAUS[(smooth - 1e-9 * TAUS**2).argmax()])
    support = np.add.reduceat(sums.labels[0], counts.starts)
    if not np.isfinite(shrinkage):
        return one, np.full(len(support), one)
    price = shrinkage / np.maximum(support, 1.0) * (TAUS[:, None] - one) ** 2
    # A head without labels has no score; the price alone gives it the one tau.
    return one, TAUS[(np.nan_to_num(of_heads) - price).argmax(axis=0)]


def simplest(scores: np.ndarray, draws: np.ndarray) -> int:
    """The first rule that is as good as the best: at most some standard errors below it.

    One standard error, but two for argmax: leaving it must clearly pay, or the choice itself costs
    more on new rows than the rule brings.

    Args:
        scores: [R] cross-validated HM of rules, from the simplest to the freest.
        draws: [R, B] the same for B bootstrap samples, the samples shared by all rules.

    References:
        Breiman et al., Classification and regression trees, 1984, section 3.4.3.

    Example:
        >>> draws = np.array([[0.5, 0.6, 0.7], [0.52, 0.61, 0.73]])
        >>> simplest(np.array([0.60, 0.62]), draws), simplest(np.array([0.6, 0.601]), draws)
        (1, 0)
    """
    best = scores.argmax()
    # Of the paired differences: the scores themselves vary far more with the sample.
    # The best is 0 below itself, so one is always found.
    errors = (draws[best] - draws).std(axis=1)
    errors[0] *= 2
    return int((scores >= scores[best] - errors).argmax())
