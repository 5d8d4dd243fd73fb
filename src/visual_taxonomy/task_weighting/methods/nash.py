"""Tasks bargain for the direction of the update."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.solvers.power_system import solve_power_system

# Times 1 / the shortest gradient. Where no direction helps all tasks, the ridge of the solver lets
# weights reach 1e4 / norm, which the heads would get unclipped.
_MOST = 1e3


class NashBargaining(GramianWeighting):
    """The Nash bargaining solution: G w = 1 / w, whatever the scale of each loss.

    Every task gains 1 / w along the direction, whose norm is sqrt(A); the shared update is then
    clipped to `max_norm`, the heads get the weights unclipped. Where no direction helps all tasks
    there is no solution; weights are bounded by 1000 / the shortest gradient.

    Args:
        task_names: [T] names of all tasks.
        max_norm: Longest shared update; 0 for no limit.

    Raises:
        InputError: The norm is negative.

    References:
        Navon et al., ICML 2022, https://arxiv.org/abs/2202.01017.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> NashBargaining(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([1.3450, 1.2030], dtype=torch.float64)
    """

    default_head_scale = "weights"

    def __init__(self, task_names: Sequence[str], max_norm: float = 1.0) -> None:
        super().__init__(task_names)
        if max_norm < 0:
            raise InputError(f"Nash_MTL: max_norm must not be negative, not {max_norm}")
        self.max_norm = max_norm

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        weights = solve_power_system(gramian, power=1.0)
        return weights.clamp_max(_MOST / gramian.diagonal().min().sqrt())
