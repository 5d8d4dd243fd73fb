"""Alpha-fair sharing of the progress among the tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.solvers.power_system import solve_power_system


class FairGradient(GramianWeighting):
    """The alpha-fair direction: G w = w^(-1 / alpha).

    Alpha 1 is proportional fairness (Nash-MTL); toward 0 it is the plain sum, toward infinity the
    worst task alone counts.

    Args:
        task_names: [T] names of all tasks.
        alpha: Fairness; > 0.
        max_norm: Longest shared update; 0 for no limit (LibMTL; the authors' code has 1).
        times_tasks: Multiply the shared update by A before that (the authors' code does).

    Raises:
        InputError: An argument is out of its range.

    References:
        Ban, Ji, ICML 2024, https://arxiv.org/abs/2402.15638.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> FairGradient(["c/a", "c/b"], alpha=2.0)(gramian, torch.ones(2), [0, 1])
        tensor([1.4706, 1.2921], dtype=torch.float64)
    """

    def __init__(
        self,
        task_names: Sequence[str],
        alpha: float = 1.0,
        max_norm: float = 0.0,
        times_tasks: bool = False,
    ) -> None:
        super().__init__(task_names)
        if alpha <= 0 or max_norm < 0:
            raise InputError(
                f"FairGrad: alpha must be positive and max_norm not negative, "
                f"not {alpha} and {max_norm}"
            )
        self.alpha = alpha
        self.max_norm = max_norm
        self.times_tasks = times_tasks

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        weights = solve_power_system(gramian, 1 / self.alpha)
        return weights * (len(weights) if self.times_tasks else 1)
