"""Unconflicting projection of the gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.gramian import unit_gramian
from visual_taxonomy.task_weighting.solvers.interior_point import nonnegative_minima


def unconflicting_weights(gramian: Tensor) -> Tensor:
    """[A] weights of the gradients in the mean of their projections on the dual cone.

    The projection of a gradient on the directions that increase no loss is the gradient plus the
    shortest non-negative combination of all that makes every inner product non-negative.

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> unconflicting_weights(gramian)
        tensor([0.7500, 0.7000], dtype=torch.float64)
    """
    cosines, norms = unit_gramian(gramian)
    matrix = cosines.numpy()
    lengths = (norms / norms.max()).numpy()
    coefficients = np.eye(len(matrix)) + nonnegative_minima(matrix, -matrix)  # a row per gradient
    return torch.from_numpy(lengths @ coefficients / len(matrix) / lengths)


class UnconflictingProjection(GramianWeighting):
    """UPGrad: the mean of the gradients, each projected so that it increases no loss.

    References:
        Quinton, Rey, "Jacobian Descent for Multi-Objective Optimization", 2024,
        https://arxiv.org/abs/2406.16232.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> UnconflictingProjection(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([0.7500, 0.7000], dtype=torch.float64)
    """

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return unconflicting_weights(gramian)
