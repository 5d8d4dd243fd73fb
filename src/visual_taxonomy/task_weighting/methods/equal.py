"""Equal weights: the plain sum."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.task_weighting.base import LossWeighting


class EqualWeighting(LossWeighting):
    """The sum of the losses of the active tasks; every weight is 1.

    Example:
        >>> EqualWeighting(["c/a", "c/b"])(torch.tensor([0.8, 1.5]), [0, 1])
        tensor(2.3000)
    """

    is_linear = True

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        return losses.sum()


class PlainSum(EqualWeighting):
    """The sum of the losses, as EW; a loss that is not finite stops the run instead of its task.

    No step waits for its losses, so on a GPU it is the fastest of all.

    Example:
        >>> PlainSum(["c/a", "c/b"])(torch.tensor([0.8, 1.5]), [0, 1])
        tensor(2.3000)
    """

    screens = False
