"""The positive solution w of G w = w^-p, which Nash-MTL and FairGrad ask for."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

# Relative to the diagonal. Where gradients cancel there is no solution: without a ridge w grows
# until the steps run out; with 1e-8 it stops near 1e4 / norm.
_RIDGE = 1e-8
# Newton decrements: below, full steps converge without a line search, whose comparison of two
# objectives would see rounding only and halve the step for nothing.
_NEAR = 1e-8
_DONE = 1e-18  # the square of the relative error aimed at, 1e-9; float64 cannot do much better
_SHORTEST = 1e-10  # of a step: shorter ones change no digit of the objective
_MAX_STEPS = 60  # a guard: damped steps toward a solution that does not exist would not end


def solve_power_system(gramian: Tensor, power: float) -> Tensor:
    """[A] the w > 0 with G w = w^-p, element by element.

    It is where the strictly convex w' G w / 2 - sum of U(w) is smallest (U the logarithm for p = 1,
    else w^(1 - p) / (1 - p)). Damped Newton steps from the solution for orthogonal gradients, in
    variables of which that solution is 1, with a relative ridge of 1e-8: where a combination of
    the gradients is zero there is no solution, and w grows to the order of 1e4 / norm while the
    direction vanishes.

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.
        power: p > 0.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> weights = solve_power_system(gramian, power=1.0)
        >>> weights
        tensor([1.3450, 1.2030], dtype=torch.float64)
        >>> weights * (gramian @ weights)
        tensor([1.0000, 1.0000], dtype=torch.float64)
    """
    diagonal = gramian.diagonal().numpy()
    scale = diagonal ** (-1 / (1 + power))
    matrix = scale[:, None] * gramian.numpy() * scale
    target = diagonal ** ((power - 1) / (power + 1))
    matrix = matrix + _RIDGE * np.diag(target)
    return torch.from_numpy(scale * _newton(matrix, target, power))


def _newton(matrix: Array, target: Array, power: float) -> Array:
    """The x > 0 with M x = m x^-p, from x = 1."""
    x = np.ones(len(target))
    last = np.inf
    for _ in range(_MAX_STEPS):
        utility = target * x**-power
        gradient = matrix @ x - utility
        hessian = matrix + np.diag(power * utility / x)
        step = np.asarray(np.linalg.solve(hessian, -gradient), dtype=np.float64)
        slope = float(gradient @ step)
        shrinking = step < 0
        # 0.99 of the way to the boundary: on it w^-p is infinite.
        length = min(1.0, 0.99 * float((-x[shrinking] / step[shrinking]).min(initial=np.inf)))
        if slope < -_NEAR:
            length = _armijo(matrix, target, power, x, step, length, slope)
        x = x + length * step
        is_rounding = slope >= -_NEAR and -slope > last / 4  # else it falls much faster there
        if is_rounding or slope >= -_DONE:
            break
        last = -slope
    return x


def _armijo(
    matrix: Array,
    target: Array,
    power: float,
    x: Array,
    step: Array,
    length: float,
    slope: float,
) -> float:
    """Halve the step until the objective falls by enough."""
    value = _objective(matrix, target, power, x)
    while length > _SHORTEST:
        # 1e-4 of the promised decrease, the usual constant: any real decrease passes, rounding does
        # not.
        if _objective(matrix, target, power, x + length * step) <= value + 1e-4 * length * slope:
            break
        length /= 2
    return length


def _objective(matrix: Array, target: Array, power: float, x: Array) -> float:
    utility = np.log(x) if power == 1 else x ** (1 - power) / (1 - power)
    return float(x @ matrix @ x / 2 - target @ utility)
