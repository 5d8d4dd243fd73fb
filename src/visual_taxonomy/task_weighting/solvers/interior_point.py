"""Many non-negative quadratic programs with one matrix, solved side by side, in float64.

Shapes: A variables, N problems.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from visual_taxonomy.task_weighting.solvers.quadratic import Array, lawson_hanson

# Of a diagonal near 1: without it, parallel gradients make a system singular and `solve` raises.
_RIDGE = 1e-13
# Slopes, residuals and gaps that count as zero; below about 1e-15 rounding never gets there.
_TOLERANCE = 1e-12
# What has not arrived by then is degenerate, and is solved by active sets instead.
_MAX_STEPS = 30
# Fewer than for one problem: the interior-point method finishes what cycles.
_CHANCES = 2
# Problems x variables from which on the interior-point method pays, see decisions/009.
_MANY = 100


def nonnegative_minima(matrix: Array, linear: Array) -> Array:
    """[N, A] for each b the x >= 0 that minimises x' M x / 2 - b' x.

    Block pivoting finds most in a few steps. Where it cycles, as it may for a singular matrix, an
    interior-point method comes within 1e-12; a few problems are rather solved one by one.

    Args:
        matrix: [A, A] M, symmetric, positive semidefinite, diagonal near 1.
        linear: [N, A] the b, their entries at most near 1.

    References:
        Kim, Park, "Fast Nonnegative Matrix Factorization", SIAM J. Sci. Comput. 33 (2011);
        Mehrotra, "On the implementation of a primal-dual interior point method", SIAM J. Optim. 2
        (1992).

    Example:
        >>> nonnegative_minima(np.eye(2), np.array([[1.0, -1.0], [0.5, 0.5]])).round(6)
        array([[1. , 0. ],
               [0.5, 0.5]])
    """
    ridged = matrix + _RIDGE * np.eye(len(matrix))
    x = _pivot_blocks(ridged, linear)
    left = np.isnan(x[:, 0])
    if left.sum() * len(matrix) > _MANY:
        x[left] = _interior_point(ridged, linear[left])
    for row in np.flatnonzero(np.isnan(x[:, 0])):
        x[row] = lawson_hanson(ridged, linear[row], _TOLERANCE)
    return x


def _pivot_blocks(matrix: Array, linear: Array) -> Array:
    """Free and fix all variables of the wrong sign at once; NaN where they do not get fewer."""
    found = np.full_like(linear, np.nan)
    open_, free = np.arange(len(linear)), linear > 0
    fewest, chances = np.full(len(linear), len(matrix) + 1), np.full(len(linear), _CHANCES)
    identity = np.eye(len(matrix))
    while len(open_):
        b = linear[open_]
        blocks = np.where(free[:, :, None] & free[:, None, :], matrix, identity)
        x = np.linalg.solve(blocks, np.where(free, b, 0.0)[:, :, None])[:, :, 0]
        wrong = np.where(free, x < 0, b - x @ matrix > _TOLERANCE)
        count = wrong.sum(1)
        found[open_[count == 0]] = x[count == 0]
        chances = np.where(count < fewest, _CHANCES, chances - 1)
        fewest = np.minimum(count, fewest)
        go_on = (count > 0) & (chances > 0)
        open_, fewest, chances = open_[go_on], fewest[go_on], chances[go_on]
        free = free[go_on] ^ wrong[go_on]
    return found


def _interior_point(matrix: Array, linear: Array) -> Array:
    """Newton steps on x * slope = target, predicted and corrected; NaN where they do not arrive."""
    found = np.full_like(linear, np.nan)
    open_, b = np.arange(len(linear)), linear
    # Well inside: near a boundary the first steps would be tiny.
    x = np.ones_like(b)
    slope = np.maximum(1.0, x @ matrix - b)
    for _ in range(_MAX_STEPS):
        residual = b + slope - x @ matrix
        gap = (x * slope).mean(1, keepdims=True)
        is_open = np.maximum(gap[:, 0], np.abs(residual).max(1)) > _TOLERANCE
        # Of each pair one is zero at the solution; the larger is not.
        found[open_[~is_open]] = np.where(x > slope, x, 0.0)[~is_open]
        open_, b = open_[is_open], b[is_open]
        if len(open_) == 0:
            break
        x, slope = _newton(matrix, x[is_open], slope[is_open], residual[is_open], gap[is_open])
    return found


def _newton(
    matrix: Array, x: Array, slope: Array, residual: Array, gap: Array
) -> tuple[Array, Array]:
    """One step: toward a gap of zero to see how far that goes, then toward the gap that suits."""
    hessians = np.repeat(matrix[None], len(x), axis=0)
    diagonal = np.arange(len(matrix))
    hessians[:, diagonal, diagonal] += slope / x
    factors = torch.linalg.lu_factor_ex(torch.from_numpy(hessians))

    def step_toward(target: Array | float) -> tuple[Array, Array, Array]:
        right = torch.from_numpy(residual - slope + target / x)[:, :, None]
        step = torch.linalg.lu_solve(factors.LU, factors.pivots, right)[:, :, 0].numpy()
        slope_step = (target - slope * step) / x - slope
        return step, slope_step, np.minimum(_reach(x, step), _reach(slope, slope_step))

    step, slope_step, reach = step_toward(0.0)
    reach = np.minimum(1.0, reach)
    foreseen = ((x + reach * step) * (slope + reach * slope_step)).mean(1, keepdims=True)
    # The cube is Mehrotra's: it aims low where the first step went far, high where it was blocked.
    step, slope_step, reach = step_toward((foreseen / gap) ** 3 * gap - step * slope_step)
    # Never onto the boundary, where the next system is singular; nearer to it as the gap closes.
    length = np.minimum(1.0, np.maximum(0.9, 1 - gap) * reach)
    return x + length * step, slope + length * slope_step


def _reach(values: Array, step: Array) -> Array:
    """[N, 1] how many such steps can be taken until one of the values [N, A] is zero."""
    shrinking: NDArray[np.bool_] = step < 0
    ratios = np.where(shrinking, -values / np.where(shrinking, step, -1.0), np.inf)
    return np.asarray(ratios.min(1, keepdims=True), dtype=np.float64)
