"""Projecting conflicting gradients."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.methods.gradient_surgery import random_orders


def projected_weights(gramian: Tensor, orders: Tensor) -> Tensor:
    """[A] weights of the gradients in the sum of the projected ones.

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.
        orders: [A, A - 1] in row i the tasks that gradient i meets, in this order.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> projected_weights(gramian, torch.tensor([[1], [0]]))
        tensor([1.5000, 1.4000], dtype=torch.float64)
    """
    inner = gramian.numpy()
    rows = np.arange(len(inner))
    coefficients = np.eye(len(inner))  # row i: the projected gradient i in terms of all
    products = inner.copy()  # with each of the gradients
    for others in orders.numpy().T:
        excess = np.minimum(products[rows, others], 0) / inner[others, others]
        coefficients[rows, others] -= excess
        products -= excess[:, None] * inner[others]
    return torch.from_numpy(coefficients.sum(0))


class ProjectConflictingGradients(GramianWeighting):
    """The sum of the gradients, each freed of what points against another.

    Each gradient meets the others in random order; where the inner product is negative, its part
    along the other is taken away.

    Args:
        task_names: [T] names of all tasks.
        reduction: "sum" of the projected gradients, or "mean".

    Raises:
        InputError: The reduction does not exist.

    References:
        Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020,
        https://arxiv.org/abs/2001.06782.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> ProjectConflictingGradients(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([1.5000, 1.4000], dtype=torch.float64)
    """

    def __init__(
        self, task_names: Sequence[str], reduction: Literal["sum", "mean"] = "sum"
    ) -> None:
        super().__init__(task_names)
        if reduction not in ("sum", "mean"):
            raise InputError(f"PCGrad: reduction '{reduction}' is none of: sum, mean")
        self.reduction = reduction

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        weights = projected_weights(gramian, random_orders(len(gramian), generator))
        return weights / (len(weights) if self.reduction == "mean" else 1)
