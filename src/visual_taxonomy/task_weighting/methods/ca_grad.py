"""Conflict-averse gradient descent."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.gramian import unit_gramian
from visual_taxonomy.task_weighting.solvers.quadratic import Array, nonnegative_minimum

# Roots of pieces are found in a few steps; where rounding hides them it bisects, and 60 halvings
# exhaust float64. Then there is no correction, and the mean gradient is taken.
_MAX_STEPS = 60
# Squared length, on unit gradients, that counts as zero: dividing by less amplifies rounding.
_CANCELLED = 1e-12
_CLOSE = 1e-10  # relative error of the squared length; the result is rescaled to the exact one


def conflict_averse_correction(gramian: Tensor, radius: float) -> Tensor:
    """[A] coefficients u of the correction that helps the worst task most.

    With g0 the mean gradient, the correction sum of u * gradient has norm `radius` * |g0| and
    makes the least of <gradient, g0 + correction> as large as can be. For a least improvement z
    the shortest correction is a non-negative least squares problem, its length grows with z, and
    between changes of the active tasks its square is quadratic in z: the roots of these pieces
    lead to the z of the wanted length. Zeros where no correction is needed or none helps.

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.
        radius: Length of the correction relative to the mean gradient (the paper's c).

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> correction = conflict_averse_correction(gramian, 0.5)
        >>> correction / correction.sum()
        tensor([0.6173, 0.3827], dtype=torch.float64)
    """
    cosines, norms = unit_gramian(gramian)
    matrix, inverse = cosines.numpy(), (norms.max() / norms).numpy()
    mean = 1 / inverse / len(inverse)  # the mean gradient in terms of unit gradients
    wanted = radius**2 * float(mean @ matrix @ mean)
    if wanted <= _CANCELLED:
        return torch.zeros_like(norms)
    found = _correction_of_length(matrix, inverse, matrix @ mean, wanted)
    return torch.from_numpy(found * inverse)


def _correction_of_length(matrix: Array, inverse: Array, slopes: Array, wanted: float) -> Array:
    """The shortest y >= 0 with C y + slopes >= z * inverse, for the z at which y' C y = wanted."""
    ratios = slopes / inverse
    start = low = float(ratios.min())
    high = np.inf
    z = low + np.sqrt(wanted) / inverse[ratios.argmin()]
    for _ in range(_MAX_STEPS):
        found = nonnegative_minimum(matrix, z * inverse - slopes)
        length = float(found @ matrix @ found)
        if length <= _CANCELLED * (found @ found):  # gradients cancel: z > 0 is out of reach
            if low >= 0:
                break
            z, high = 0.0, z
            continue
        if abs(length - wanted) <= _CLOSE * wanted:
            return found * np.sqrt(wanted / length)
        low, high = (z, high) if length < wanted else (low, z)
        z = _root_of_piece(matrix, inverse, slopes, found > 0, wanted)
        if not low < z < high:
            z = (low + high) / 2 if np.isfinite(high) else 2 * low - start
    return np.zeros_like(slopes)


def _root_of_piece(
    matrix: Array, inverse: Array, slopes: Array, free: NDArray[np.bool_], wanted: float
) -> float:
    """The larger z at which the correction of the free tasks has the wanted squared length."""
    # The ridge of `solvers.quadratic`: parallel gradients would make the block singular.
    block = matrix[np.ix_(free, free)] + 1e-13 * np.eye(int(free.sum()))
    both = np.stack([inverse[free], slopes[free]], axis=1)
    quadratic = both.T @ np.linalg.solve(block, both)  # y' C y = (z, -1) Q (z, -1)
    a, b, c = quadratic[0, 0], quadratic[0, 1], quadratic[1, 1] - wanted
    return float((b + np.sqrt(max(b * b - a * c, 0.0))) / a) if a > 0 else np.nan


class ConflictAverseGradient(GramianWeighting):
    """The mean gradient, moved within a ball toward the best for the worst task.

        direction = argmax over |d - g0| <= radius * |g0| of min over tasks of <gradient, d>

    Args:
        task_names: [T] names of all tasks.
        radius: The paper's c, >= 0; 0 is the mean gradient, large values tend to MGDA.
        rescale: 0 as is, 1 divided by 1 + radius^2 (the authors' default), 2 by 1 + radius.
        reduction: "mean", or "sum" to multiply by A as the authors' code does.

    Raises:
        InputError: An argument is out of its range.

    References:
        Liu, Liu, Jin, Stone, Liu, NeurIPS 2021, https://arxiv.org/abs/2110.14048.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> ConflictAverseGradient(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([0.6410, 0.5495], dtype=torch.float64)
    """

    def __init__(
        self,
        task_names: Sequence[str],
        radius: float = 0.5,
        rescale: Literal[0, 1, 2] = 1,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__(task_names)
        if radius < 0:
            raise InputError(f"CAGrad: radius must not be negative, not {radius}")
        if rescale not in (0, 1, 2):
            raise InputError(f"CAGrad: rescale {rescale} is none of: 0, 1, 2")
        if reduction not in ("mean", "sum"):
            raise InputError(f"CAGrad: reduction '{reduction}' is none of: mean, sum")
        self.radius = radius
        self.divisor = (1.0, 1 + radius**2, 1 + radius)[rescale]
        self.reduction = reduction

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        num_tasks = len(gramian)
        if num_tasks == 1:
            return torch.ones_like(gramian[0])
        weights = 1 / num_tasks + conflict_averse_correction(gramian, self.radius)
        return weights / self.divisor * (num_tasks if self.reduction == "sum" else 1)
