"""One answer of several witnesses: a product of their probabilities, each to its own power.

    log p = sum_w a_w log p_w + b log prior - log Z

Each witness has the class prior in it, so a plain product of W of them counts it W times:
b = 1 - W would count it once. The powers calibrate at the same time (a = 1 / T of one witness). The
negative log-likelihood (NLL) is convex in (a, b). Each head minimises its own plus a penalty: the
quadratic that `shrinkage` average labels would put around the fit over all heads; that has the
doubt of one label around the plain product with the prior counted once.

Shapes: M cells, T heads, C classes of the widest head, W witnesses, P = W + 1 powers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visual_taxonomy.decision.calibration import SHRINKAGE
from visual_taxonomy.decision.cells import NOWHERE

_LARGEST = 20.0
"""Bounds of a power are 0 and 20: a head that is always right would drive it to infinity, and below
0 a witness would be believed to be wrong."""

_STEPS = 100
_TOLERANCE = 1e-6
"""Newton steps at most, and the step that ends them."""

_RIDGE = 1e-6
"""Without it a witness that always says the prior would make the matrix singular."""


@dataclass(frozen=True, eq=False)
class FusionCells:
    """Labelled cells that all W witnesses speak of.

    Args:
        logs: [M, P, C] logarithms: of each witness's probabilities, then of the prior.
        labels: [M] true classes.
        heads: [M] tasks.
        has_class: [T, C] bool.
    """

    logs: np.ndarray
    labels: np.ndarray
    heads: np.ndarray
    has_class: np.ndarray


def plain_product(witnesses: int) -> np.ndarray:
    """[P] powers of the product that counts the prior once."""
    return np.array([1.0] * witnesses + [1.0 - witnesses])


def fit_powers(cells: FusionCells, shrinkage: float = SHRINKAGE) -> np.ndarray:
    """[T, P] powers of every head.

    Args:
        cells: Rows that no witness was fitted on; without any the powers are `plain_product`.
        shrinkage: Labels of a head at which its own fit and that of all heads count alike; >= 0.
    """
    num_heads, num_powers = len(cells.has_class), cells.logs.shape[1]
    centre = plain_product(num_powers - 1)
    every = np.arange(len(cells.labels))
    shared = _minimise(cells, every, centre, np.eye(num_powers))
    if not len(every):
        return np.tile(shared, (num_heads, 1))
    label = _curvature(cells, every, shared) / len(every)
    penalty = shrinkage * label + _RIDGE * np.eye(num_powers)
    parts = [np.flatnonzero(cells.heads == head) for head in range(num_heads)]
    return np.stack([_minimise(cells, part, shared, penalty) for part in parts])


def fused(logs: np.ndarray, powers: np.ndarray, has_class: np.ndarray) -> np.ndarray:
    """[M, C] float64 probabilities; 0 for classes that a head does not have.

    Args:
        logs: [M, P, C] as in `FusionCells`.
        powers: [M, P] of the head of each cell.
        has_class: [M, C] bool.

    Example:
        >>> logs = np.log([[[0.8, 0.2], [0.5, 0.5], [0.5, 0.5]]])
        >>> fused(logs, plain_product(2)[None], np.ones((1, 2), bool))
        array([[0.8, 0.2]])
    """
    # A sum in a fixed order: that of a matrix product may depend on how many cells there are.
    scores = np.zeros((len(logs), logs.shape[2]))
    for power in range(logs.shape[1]):
        scores += powers[:, power, None] * logs[:, power]
    scores[~has_class] = NOWHERE
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
    return probabilities


def penalised_nll(
    cells: FusionCells,
    chosen: np.ndarray,
    powers: np.ndarray,
    centre: np.ndarray,
    penalty: np.ndarray,
) -> tuple[float, np.ndarray]:
    """NLL of the chosen cells + (x - centre)' penalty (x - centre) / 2, and its gradient [P]."""
    shares, logs = _shares(cells, chosen, powers)
    rows, labels = np.arange(len(chosen)), cells.labels[chosen]
    away = powers - centre
    # 1e-300: a true class without any probability must not be a logarithm of 0.
    nll = -np.log(np.maximum(shares[rows, labels], 1e-300)).sum()
    gradient = (np.einsum("mc,mpc->mp", shares, logs) - logs[rows, :, labels]).sum(axis=0)
    return float(nll + away @ penalty @ away / 2), gradient + penalty @ away


def _minimise(
    cells: FusionCells, chosen: np.ndarray, centre: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """[P] the minimum, by Newton's method with halved steps, within the bounds of the powers."""
    found = centre
    value, gradient = penalised_nll(cells, chosen, found, centre, penalty)
    for _ in range(_STEPS):
        curvature = _curvature(cells, chosen, found) + penalty
        step = _bounded_step(found, gradient, curvature)
        if np.abs(step).max() < _TOLERANCE:
            break
        # Halved until the value falls: far from the minimum a whole step may leap over it.
        for halving in range(30):
            moved = found + step / 2**halving
            moved_value, moved_gradient = penalised_nll(cells, chosen, moved, centre, penalty)
            if moved_value <= value:
                break
        else:
            break
        found, value, gradient = moved, moved_value, moved_gradient
    return found


def _bounded_step(found: np.ndarray, gradient: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """The Newton step among the powers that no bound holds, cut where it would pass one."""
    low = np.append(np.zeros(len(found) - 1), -_LARGEST)
    held = ((found <= low) & (gradient > 0)) | ((found >= _LARGEST) & (gradient < 0))
    free = np.flatnonzero(~held)
    step = np.zeros(len(found))
    step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
    return np.clip(found + step, low, _LARGEST) - found


def _curvature(cells: FusionCells, chosen: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """[P, P] sum over the cells of the covariance of the logarithms under the fused answer."""
    shares, logs = _shares(cells, chosen, powers)
    means = np.einsum("mc,mpc->mp", shares, logs)
    products: np.ndarray = np.einsum("mc,mpc,mqc->pq", shares, logs, logs, optimize=True)
    return products - means.T @ means


def _shares(
    cells: FusionCells, chosen: np.ndarray, powers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    logs, has_class = cells.logs[chosen], cells.has_class[cells.heads[chosen]]
    return fused(logs, np.tile(powers, (len(chosen), 1)), has_class), logs


def stacked_logs(logs: Sequence[np.ndarray], log_prior: np.ndarray) -> np.ndarray:
    """[M, P, C] of W arrays [M, C] and the prior [M, C]."""
    return np.stack([*logs, log_prior], axis=1)
