"""Gradient vaccine: pull gradients toward the angle they usually have."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.methods.gradient_surgery import random_orders

# Of target cosines: the formula divides by the sine, and at 1 no finite share of j reaches it.
_LIMIT = 0.999


def vaccinated_weights(
    gramian: Tensor, orders: Tensor, targets: Tensor, decay: float
) -> tuple[Tensor, Tensor]:
    """Weights [A] of the gradients in the sum of the altered ones, and the next targets [A, A].

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.
        orders: [A, A - 1] in row i the tasks that gradient i meets, in this order.
        targets: [A, A] the cosines that gradient i should have with gradient j.
        decay: Share of a newly measured cosine in its target.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> weights, targets = vaccinated_weights(
        ...     gramian, torch.tensor([[1], [0]]), torch.zeros(2, 2, dtype=torch.float64), 0.5
        ... )
        >>> weights, targets[0, 1]
        (tensor([1.5000, 1.4000], dtype=torch.float64), tensor(-0.2236, dtype=torch.float64))
    """
    inner = gramian.numpy()
    rows = np.arange(len(inner))
    coefficients = np.eye(len(inner))
    products = inner.copy()
    updated = targets.numpy().copy()
    for others in orders.numpy().T:
        # Rounding may leave a gradient that has been cancelled with a squared length below 0.
        lengths = np.sqrt(np.maximum((coefficients * products).sum(1), 0))
        other_lengths = np.sqrt(inner[others, others])
        known = lengths > 1e-12 * np.sqrt(inner[rows, rows])  # else the angle is not defined
        cosines = products[rows, others] / (np.where(known, lengths, 1) * other_lengths)
        cosines = np.clip(cosines, -1, 1)  # rounding: 1 - cosine^2 below 0 has no root
        target = updated[rows, others]
        bounded = np.clip(target, -_LIMIT, _LIMIT)
        sine = np.sqrt(1 - bounded**2)
        added = lengths * (bounded * np.sqrt(1 - cosines**2) - cosines * sine)
        added = np.where(known & (cosines < bounded), added / (other_lengths * sine), 0)
        coefficients[rows, others] += added
        products += added[:, None] * inner[others]
        updated[rows, others] = np.where(known, (1 - decay) * target + decay * cosines, target)
    return torch.from_numpy(coefficients.sum(0)), torch.from_numpy(updated)


class GradientVaccine(GramianWeighting):
    """Like PCGrad, toward a moving target of the cosine of each pair instead of zero.

    Where gradient i has a lower cosine with gradient j than the target, enough of j is added to
    reach it. The target of a pair is the moving average of the cosines measured before that. One
    target per pair of tasks, of all shared parameters together.

    Args:
        task_names: [T] names of all tasks.
        decay: Share of a new cosine in the target, in [0, 1] (the paper 0.01, LibMTL 0.5).

    Raises:
        InputError: The decay is out of its range.

    References:
        Wang, Tsvetkov, Firat, Cao, ICLR 2021, https://arxiv.org/abs/2010.05874.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> GradientVaccine(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([1.5000, 1.4000], dtype=torch.float64)
    """

    targets: Tensor

    def __init__(self, task_names: Sequence[str], decay: float = 0.01) -> None:
        super().__init__(task_names)
        if not 0 <= decay <= 1:
            raise InputError(f"GradVac: decay must be in [0, 1], not {decay}")
        self.decay = decay
        num_tasks = len(self.task_names)
        self.register_buffer("targets", torch.zeros(num_tasks, num_tasks, dtype=torch.float64))

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        pairs = torch.meshgrid(torch.tensor(tasks), torch.tensor(tasks), indexing="ij")
        orders = random_orders(len(gramian), generator)
        weights, targets = vaccinated_weights(gramian, orders, self.targets[pairs], self.decay)
        self.targets[pairs] = targets
        return weights
