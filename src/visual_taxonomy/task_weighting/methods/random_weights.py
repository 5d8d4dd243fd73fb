"""Fresh random weights in every step."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.task_weighting.base import LossWeighting


class RandomLossWeighting(LossWeighting):
    """Weights softmax(x) with x from a standard normal distribution, drawn again in each step.

    The numbers are drawn on the CPU for the active tasks only; with the same generator state the
    same weights come out.

    References:
        Lin, Ye, Zhang, Tsang, TMLR 2022, https://arxiv.org/abs/2111.10603.

    Example:
        >>> method = RandomLossWeighting(["c/a", "c/b"])
        >>> method(torch.tensor([3.0, 3.0]), [0, 1], torch.Generator().manual_seed(1))
        tensor(3.)
    """

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        scores = torch.randn(len(losses), generator=generator)
        return losses @ scores.softmax(0).to(losses)
