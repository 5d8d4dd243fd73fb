"""Many comparisons at once: corrected p-values, mean ranks, and what is best at its price.

Shapes: V variants, T heads, P p-values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.errors import InputError


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that the chance of one false alarm stays below 5 %.

        corrected[i] = max over j <= i of (P - j) p[j], at most 1; p in rising order, j from 0

    References:
        Holm, Scandinavian Journal of Statistics 6, 1979.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    factors = len(given) - np.arange(len(given))
    corrected = np.empty_like(given)
    corrected[order] = np.maximum.accumulate(np.minimum(given[order] * factors, 1.0))
    return corrected.tolist()


class Ranks(NamedTuple):
    """Mean ranks of variants over heads, and how far apart they must be to differ."""

    means: list[float]
    """[V]; 1 is best in every head."""
    critical_difference: float
    """Of the Nemenyi test at 5 %: mean ranks that are farther apart differ."""
    p_value: float
    """Of the Friedman test that all variants are alike."""
    heads: int
    """Heads that all variants have a score in: the paired units."""


def mean_ranks(scores: np.ndarray) -> Ranks:
    """Friedman and Nemenyi tests over heads.

        difference = q sqrt(V (V + 1) / (6 T)), q of the studentized range at 5 %, over sqrt(2)

    Args:
        scores: [V, T], higher is better; heads with a NaN are left out.

    Raises:
        InputError: Fewer than 2 variants, or fewer than 2 heads with scores.

    References:
        Demsar, JMLR 7, 2006.

    Example:
        >>> ranks = mean_ranks(np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]]))
        >>> ranks.means, round(ranks.critical_difference, 3)
        ([1.0, 2.0], 1.132)
    """
    from scipy import stats

    known = scores[:, ~np.isnan(scores).any(axis=0)]
    variants, heads = known.shape
    if variants < 2 or heads < 2:
        raise InputError(f"ranks of {variants} variants over {heads} heads: both must be 2 or more")
    ranks = stats.rankdata(-known, axis=0)
    # The limit of many degrees of freedom, as the test is defined.
    q = float(stats.studentized_range.ppf(0.95, variants, np.inf)) / np.sqrt(2)
    return Ranks(
        ranks.mean(axis=1).tolist(),
        float(q * np.sqrt(variants * (variants + 1) / (6 * heads))),
        _friedman(ranks),
        heads,
    )


def _friedman(ranks: np.ndarray) -> float:
    """P-value from [V, T] ranks, corrected for ties; SciPy's own refuses two variants."""
    from scipy import stats

    variants, heads = ranks.shape
    spread = float(((ranks - (variants + 1) / 2) ** 2).sum())
    if spread == 0:
        return 1.0  # every head ties all variants
    sums = ranks.sum(axis=1)
    statistic = (variants - 1) * float(((sums - heads * (variants + 1) / 2) ** 2).sum()) / spread
    return float(stats.chi2.sf(statistic, variants - 1))


def wilcoxon(first: np.ndarray, second: np.ndarray) -> float:
    """P-value of the signed-rank test over heads, two-sided; 1 where no head differs.

    Args:
        first: [T] scores; heads with a NaN are left out.
        second: [T] of the other.
    """
    from scipy import stats

    differences = second - first
    differences = differences[~np.isnan(differences)]
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Numbers of those that no other beats in score without costing more, the cheapest first.

    Example:
        >>> pareto_front([1.0, 2.0, 3.0], [0.5, 0.4, 0.6])
        [0, 2]
    """
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i]))
    front: list[int] = []
    for i in order:
        if not front or scores[i] > scores[front[-1]]:
            front.append(i)
    return front
