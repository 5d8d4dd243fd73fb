"""Small convex quadratic programs, exact, in float64: non-negative variables, the simplex.

Shapes: A variables, at most a few dozen.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_taxonomy.task_weighting.gramian import unit_gramian

Array = NDArray[np.float64]

# Of a diagonal near 1. Without it two parallel gradients make the systems singular, and `solve`
# raises; at 1e-13 it moves a solution less than the rounding of a float32 Gramian does.
_RIDGE = 1e-13
# Slope that counts as zero, relative to b. At 0, rounding frees and fixes a variable for ever.
_TOLERANCE = 1e-12
# Exchanges in a row that may fail to lower the count of wrong signs. Fewer give up on problems that
# still converge; block pivoting can cycle, so without a limit it may not end.
_CHANCES = 4


def nonnegative_minimum(matrix: Array, linear: Array) -> Array:
    """The x >= 0 that minimises x' M x / 2 - b' x, exactly, by active sets.

    Block pivoting is tried first, since it changes many variables at once; where rounding makes it
    cycle, Lawson and Hanson's method changes them one by one.

    Args:
        matrix: [A, A] M, symmetric, positive semidefinite, diagonal near 1.
        linear: [A] b.

    References:
        Kim, Park, "Fast Nonnegative Matrix Factorization", SIAM J. Sci. Comput. 33 (2011);
        Lawson, Hanson, "Solving Least Squares Problems", 1974, chapter 23, on normal equations.

    Example:
        >>> nonnegative_minimum(np.eye(2), np.array([1.0, -1.0]))
        array([1., 0.])
    """
    ridged = matrix + _RIDGE * np.eye(len(linear))
    # The smallest numbers keep b = 0 from asking for a slope below zero, which never comes.
    tolerance = _TOLERANCE * (np.abs(linear).max() + 1e-300)
    pivoted = _pivot_blocks(ridged, linear, tolerance)
    return lawson_hanson(ridged, linear, tolerance) if pivoted is None else pivoted


def _pivot_blocks(matrix: Array, linear: Array, tolerance: float) -> Array | None:
    """Free and fix all variables of the wrong sign at once; None if they do not get fewer."""
    free = linear > 0
    fewest, chances = len(linear) + 1, _CHANCES
    while True:
        x = np.zeros_like(linear)
        indices = np.flatnonzero(free)
        x[indices] = np.linalg.solve(matrix[indices[:, None], indices], linear[indices])
        wrong = np.where(free, x < 0, linear - matrix @ x > tolerance)
        count = int(wrong.sum())
        if count == 0:
            return x
        chances = _CHANCES if count < fewest else chances - 1
        if chances == 0:
            return None
        fewest = min(fewest, count)
        free ^= wrong


def lawson_hanson(matrix: Array, linear: Array, tolerance: float) -> Array:
    """The same minimum, by freeing the most promising variable, one at a time.

    Args:
        matrix: [A, A] M, positive definite.
        linear: [A] b.
        tolerance: Slope that counts as zero.

    Example:
        >>> lawson_hanson(np.eye(2), np.array([1.0, -1.0]), tolerance=1e-12)
        array([1., 0.])
    """
    x = np.zeros_like(linear)
    free = np.zeros(len(linear), dtype=bool)
    for _ in range(3 * len(linear)):  # each enters about once; the limit of scipy's nnls
        slope = np.where(free, -np.inf, linear - matrix @ x)
        entering = int(slope.argmax())
        if slope[entering] <= tolerance:
            break
        free[entering] = True
        x = _solve_free(matrix, linear, x, free)
        free = x > 0
        if not free[entering]:  # it left at once: only rounding spoke for it
            break
    return x


def _solve_free(matrix: Array, linear: Array, x: Array, free: NDArray[np.bool_]) -> Array:
    """Minimise over the free variables, fixing at 0 those that would leave the feasible set."""
    free = free.copy()
    while True:
        indices = np.flatnonzero(free)
        target = np.zeros_like(x)
        target[indices] = np.linalg.solve(matrix[indices[:, None], indices], linear[indices])
        blocked = indices[target[indices] <= 0]
        if len(blocked) == 0:
            return target
        shares = x[blocked] / (x[blocked] - target[blocked])
        x = x + shares.min() * (target - x)
        x[blocked[shares.argmin()]] = 0.0
        free &= x > 0
        x = np.where(free, x, 0.0)
        if not free.any():
            return x


def min_norm_weights(gramian: Tensor) -> Tensor:
    """[A] the point of the simplex with the shortest combination of gradients, exactly.

    On unit gradients, with b = weight x norm, the combination is shortest where
    b' C b + (b' v - 1)^2 is smallest over b >= 0 (C cosines, v the inverse norms): for a given
    direction the best length makes it q / (1 + q), with q the squared norm at b' v = 1. So
    gradients of very different length keep their digits.

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.

    Example:
        >>> min_norm_weights(torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64))
        tensor([0.5385, 0.4615], dtype=torch.float64)
    """
    cosines, norms = unit_gramian(gramian)
    inverse = (norms.min() / norms).numpy()
    matrix = cosines.numpy() + np.outer(inverse, inverse)
    # Divided by its sum at the end, so no constraint b' v = 1 is needed.
    weights = nonnegative_minimum(matrix, inverse) * inverse
    return torch.from_numpy(weights / weights.sum())


def project_on_simplex(point: Tensor) -> Tensor:
    """[A] the nearest point with entries >= 0 that sum to 1.

    References:
        Held, Wolfe, Crowder, "Validation of subgradient optimization", 1974.

    Example:
        >>> project_on_simplex(torch.tensor([0.9, 0.5, -1.0]))
        tensor([0.7000, 0.3000, 0.0000])
    """
    descending = point.sort(descending=True).values
    ranks = torch.arange(1, len(point) + 1, device=point.device)
    thresholds = (descending.cumsum(0) - 1) / ranks
    last = (descending > thresholds).sum() - 1
    return (point - thresholds.gather(0, last.view(1))).clamp_min(0)
