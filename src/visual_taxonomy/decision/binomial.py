"""The binomial distribution and the exact bounds on a share that follow from it.

NumPy has neither, and a model predicts where there is no SciPy.
"""

import math

import numpy as np

_MOST_TERMS = 100_000
"""Terms of the continued fraction; it needs about the square root of the number of trials."""

_TINY = 1e-300
"""Stands for 0 in a denominator of the continued fraction, as Lentz's method wants it."""

_HALVINGS = 45
"""Halvings of [0, 1], which leave 3e-14; more would be lost in the rounding of the distribution."""


def binomial_cdf(successes: np.ndarray, trials: np.ndarray, share: np.ndarray) -> np.ndarray:
    """P(X <= successes) for X binomial; the arguments broadcast.

    P = I_{1 - share}(trials - successes, successes + 1), the regularised incomplete beta function.

    Args:
        successes: Whole numbers from 0 to `trials`.
        trials: Whole numbers >= 0.
        share: Probabilities of success, between 0 and 1 exclusive.

    References:
        Press et al., Numerical Recipes, section 6.4; Lentz, Applied Optics 15, 1976.

    Example:
        >>> binomial_cdf(np.array([0, 1, 2]), np.array(2), np.array(0.5))
        array([0.25, 0.75, 1.  ])
    """
    successes, trials, share = np.broadcast_arrays(successes, trials, share)
    # At a = 0 lgamma has a pole; these places get their answer, 1, in the last line.
    a = np.maximum(trials - successes, 1).astype(np.float64)
    b = successes + 1.0
    # 1 - share can be 0 in float64 (a target precision of 1e-17), whose logarithm is not finite.
    cdf = _incomplete_beta(a, b, np.maximum(1.0 - share, _TINY), share)
    return np.where(successes >= trials, 1.0, cdf)


def share_above(successes: np.ndarray, trials: np.ndarray, level: float) -> np.ndarray:
    """The upper Clopper-Pearson bound on a share: the p at which P(X <= successes) = level.

    Args:
        successes: Whole numbers from 0 to `trials`.
        trials: Whole numbers >= 0; no trial gives the bound 1.
        level: Chance that the bound is below the true share, between 0 and 1.

    References:
        Clopper and Pearson, Biometrika 26, 1934.

    Example:
        >>> share_above(np.array([0, 0]), np.array([10, 0]), 0.05).round(4).tolist()
        [0.2589, 1.0]
    """
    successes, trials = np.broadcast_arrays(successes, trials)
    low, high = np.zeros(trials.shape), np.ones(trials.shape)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The distribution function falls in p: where it is above the level, the bound is higher.
        is_above = binomial_cdf(successes, trials, middle) > level
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    # If all trials are successes, or there are none, it is 1 at every p and crosses no level.
    return np.where(successes >= trials, 1.0, (low + high) / 2)


def share_interval(
    successes: np.ndarray, trials: np.ndarray, coverage: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """The two-sided Clopper-Pearson intervals of shares: their lower and upper ends.

    Example:
        >>> low, high = share_interval(np.array([9]), np.array([10]))
        >>> low.round(4), high.round(4)
        (array([0.555]), array([0.9975]))
    """
    level = (1 - coverage) / 2
    return 1.0 - share_above(trials - successes, trials, level), share_above(
        successes, trials, level
    )


def _incomplete_beta(a: np.ndarray, b: np.ndarray, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """I_x(a, b) with rest = 1 - x, which has more digits than x where x is near 1."""
    # The fraction converges fast below the mean of the distribution; above it its mirror image.
    is_mirrored = x > (a + 1) / (a + b + 2)
    a, b = np.where(is_mirrored, b, a), np.where(is_mirrored, a, b)
    x, rest = np.where(is_mirrored, rest, x), np.where(is_mirrored, x, rest)
    # As logarithms: the gamma function itself leaves float64 above 171.
    log_front = a * np.log(x) + b * np.log(rest) + _log_gamma(a + b)
    log_front -= _log_gamma(a) + _log_gamma(b) + np.log(a)
    value = np.exp(log_front) * _fraction(a, b, x)
    return np.where(is_mirrored, 1.0 - value, value)


def _fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    c = np.ones_like(x)
    d = 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _not_zero(1.0 + term * d)
            c = _not_zero(1.0 + term / c)
            value *= c * d
        # Some rounding errors of 1: below that a fraction might run through all its terms.
        # Elements that have converged wait for the others; their further factors are 1.
        if (np.abs(c * d - 1.0) < 1e-15).all():
            break
    return value


def _not_zero(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def _log_gamma(values: np.ndarray) -> np.ndarray:
    # Without otypes np.vectorize refuses an empty array.
    return np.vectorize(math.lgamma, otypes=[np.float64])(values)
