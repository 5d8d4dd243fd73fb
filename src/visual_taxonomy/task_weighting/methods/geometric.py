"""The geometric mean of the losses."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.task_weighting.base import LossWeighting

# The slope of log L is 1 / L: a loss of 0 would give an infinite weight and a product of 0.
_SMALLEST = 1e-8


class GeometricLoss(LossWeighting):
    """The geometric mean of the active losses: scaling one loss changes no direction.

        objective = exp(mean of log(loss)),    weight = objective / (A * loss)

    A loss below 1e-8 counts as 1e-8 and moves nothing.

    References:
        Chennupati et al., "MultiNet++", CVPR Workshops 2019, https://arxiv.org/abs/1904.08492.

    Example:
        >>> GeometricLoss(["c/a", "c/b"])(torch.tensor([4.0, 1.0]), [0, 1])
        tensor(2.)
    """

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        return losses.clamp_min(_SMALLEST).log().mean().exp()
