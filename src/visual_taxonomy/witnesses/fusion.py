"""One answer of several witnesses: a product of their probabilities, each to its own power.

    log p = sum_w a_w log p_w + b log prior - log Z

Each witness has the class prior in it, so a plain product of W of them counts it W times:
b = 1 - W would count it once. The powers calibrate at the same time (a = 1 / T of one witness). The
negative log-likelihood (NLL) is convex in (a, b). Each head minimises its own plus a penalty: the
quadratic that `shrinkage` average labels would put around the fit over all heads; that has the
doubt of one label around the plain product with the prior counted once.

Shapes: M cells of a head, T heads, C classes of a head, W witnesses, P = W + 1 powers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.calibration import SHRINKAGE

_LARGEST = 20.0
"""Bounds of a power are 0 and 20: a head that is always right would drive it to infinity, and below
0 a witness would be believed to be wrong."""

_STEPS = 100
_TOLERANCE = 1e-5
"""Newton steps at most, and the step that ends them: the one after it would be its square."""

_HALVINGS = 30

_RIDGE = 1e-6
"""Without it a witness that always says the prior would make the matrix singular."""


class FusionHead(NamedTuple):
    """Labelled cells of a head that all W witnesses speak of."""

    logs: np.ndarray
    """[M, P, C] logarithms: of each witness's probabilities, then of the prior."""
    labels: np.ndarray
    """[M] true classes."""


class _Sums(NamedTuple):
    """Of the NLL over cells, in the powers."""

    value: float
    gradient: np.ndarray
    """[P]"""
    curvature: np.ndarray
    """[P, P]"""


def plain_product(witnesses: int) -> np.ndarray:
    """[P] powers of the product that counts the prior once.

    Example:
        >>> plain_product(2)
        array([ 1.,  1., -1.])
    """
    return np.array([1.0] * witnesses + [1.0 - witnesses])


def fit_powers(heads: Sequence[FusionHead], shrinkage: float = SHRINKAGE) -> np.ndarray:
    """[T, P] powers of every head.

    Args:
        heads: [T] cells that no witness was fitted on; without any the powers are `plain_product`.
        shrinkage: Labels of a head at which its own fit and that of all heads count alike; >= 0.
    """
    num_powers = heads[0].logs.shape[1]
    cells = sum(len(head.labels) for head in heads)
    shared = _minimise(heads, plain_product(num_powers - 1), np.eye(num_powers))
    if not cells:
        return np.tile(shared, (len(heads), 1))
    label = _sums(heads, shared).curvature / cells
    penalty = shrinkage * label + _RIDGE * np.eye(num_powers)
    return np.stack([_minimise([head], shared, penalty) for head in heads])


def fused(logs: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """[M, C] float64 probabilities.

    Args:
        logs: [M, P, C] as in `FusionHead`.
        powers: [P]

    Example:
        >>> fused(np.log([[[0.8, 0.2], [0.5, 0.5], [0.5, 0.5]]]), plain_product(2))
        array([[0.8, 0.2]])
    """
    scores = np.einsum("p,mpc->mc", powers, logs)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
    return shares


def _sums(heads: Sequence[FusionHead], powers: np.ndarray) -> _Sums:
    value, gradient = 0.0, np.zeros(len(powers))
    curvature = np.zeros((len(powers), len(powers)))
    for logs, labels in heads:
        shares = fused(logs, powers)
        rows = np.arange(len(labels))
        means = np.einsum("mc,mpc->mp", shares, logs)
        # 1e-300: a true class that has no probability left must not be the logarithm of 0.
        value -= float(np.log(np.maximum(shares[rows, labels], 1e-300)).sum())
        gradient += (means - logs[rows, :, labels]).sum(axis=0)
        # Of each class by its share: the covariance of the logarithms under the fused answer.
        weighted = (logs * shares[:, None]).transpose(1, 0, 2).reshape(len(powers), -1)
        curvature += weighted @ logs.transpose(1, 0, 2).reshape(len(powers), -1).T - means.T @ means
    return _Sums(value, gradient, curvature)


def _penalised(
    heads: Sequence[FusionHead], powers: np.ndarray, centre: np.ndarray, penalty: np.ndarray
) -> _Sums:
    """Those of NLL + (x - centre)' penalty (x - centre) / 2."""
    sums, away = _sums(heads, powers), powers - centre
    value = sums.value + float(away @ penalty @ away) / 2
    return _Sums(value, sums.gradient + penalty @ away, sums.curvature + penalty)


def _minimise(heads: Sequence[FusionHead], centre: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """[P] the minimum, by Newton's method with halved steps, within the bounds of the powers."""
    found, sums = centre, _penalised(heads, centre, centre, penalty)
    for _ in range(_STEPS):
        step = _bounded_step(found, sums)
        if np.abs(step).max() < _TOLERANCE:
            break
        # Halved until the value falls: far from the minimum a whole step may leap over it.
        for halving in range(_HALVINGS):
            moved = found + step / 2**halving
            moved_sums = _penalised(heads, moved, centre, penalty)
            if moved_sums.value <= sums.value:
                break
        else:
            break
        found, sums = moved, moved_sums
    return found


def _bounded_step(found: np.ndarray, sums: _Sums) -> np.ndarray:
    """The Newton step among the powers that no bound holds, cut where it would pass one."""
    low = np.append(np.zeros(len(found) - 1), -_LARGEST)
    gradient = sums.gradient
    held = ((found <= low) & (gradient > 0)) | ((found >= _LARGEST) & (gradient < 0))
    free = np.flatnonzero(~held)
    step = np.zeros(len(found))
    step[free] = -np.linalg.solve(sums.curvature[np.ix_(free, free)], gradient[free])
    bounded: np.ndarray = np.clip(found + step, low, _LARGEST) - found
    return bounded
