"""Dual balancing: log losses, and gradients of equal length."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import Combination, JacobianCombination
from visual_taxonomy.task_weighting.gramian import combine_rows

# The slope of log L is 1 / L: of a task that is solved (L = 0) it would be infinite.
_SMALLEST_LOSS = 1e-6


class DualBalancing(JacobianCombination):
    """DB-MTL: moving averages of the gradients of the log losses, all as long as the longest.

        y = gradient of log(loss) + b * (y - gradient of log(loss)),   b = momentum * k^-decay
        direction = sum of (longest |y| / |y|) * y

    k counts the steps of each task. Scaling a loss changes nothing. Heads get the gradient of the
    log losses. With momentum 0 nothing is tracked.

    Args:
        task_names: [T] names of all tasks.
        momentum: Of the moving average, in [0, 1) (LibMTL 0.9).
        decay: Exponent >= 0 with which the momentum falls.
        bias_correction: Divide the average by 1 - momentum^k, so that the first steps are as long
            as later ones; for decay 0.
        tracked_dtype: Type of the T x P averages; "bfloat16" halves their memory.

    Raises:
        InputError: An argument is out of its range, or bias_correction is asked for with a decay.

    References:
        Lin et al., https://arxiv.org/abs/2308.12029.

    Example:
        >>> method = DualBalancing(["c/a", "c/b"], momentum=0.0)
        >>> method(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.ones(2), [0, 1])
        Combination(direction=tensor([2., 2.]), weights=tensor([2., 1.]))
    """

    steps: Tensor

    def __init__(
        self,
        task_names: Sequence[str],
        momentum: float = 0.9,
        decay: float = 0.0,
        bias_correction: bool = False,
        tracked_dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__(task_names, tracked_dtype)
        if not 0 <= momentum < 1 or decay < 0:
            raise InputError(
                f"DB_MTL: momentum must be in [0, 1) and decay not negative, "
                f"not {momentum} and {decay}"
            )
        if bias_correction and decay > 0:
            raise InputError("DB_MTL: bias_correction is for decay 0 only; choose one")
        self.momentum = momentum
        self.decay = decay
        self.bias_correction = bias_correction
        self.register_buffer("steps", torch.zeros(len(self.task_names)))

    @override
    def transform(self, losses: Tensor, tasks: Sequence[int]) -> Tensor:
        return losses / losses.detach().clamp_min(_SMALLEST_LOSS)  # slope of the log, bounded

    @override
    def forward(
        self,
        rows: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Combination:
        if self.momentum > 0:
            rows = self._average(rows, tasks)
        norms = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32)
        weights = norms.max() / norms
        return Combination(combine_rows(rows, weights), weights)

    def _average(self, rows: Tensor, tasks: Sequence[int]) -> Tensor:
        self.allocate(rows)
        self.steps[tasks] += 1
        momentum = self.momentum * self.steps[tasks] ** -self.decay
        for position, task in enumerate(tasks):
            share = (1 - momentum[position]).to(self.tracked)
            self.tracked[task].lerp_(rows[position].to(self.tracked), share)
        active = self.tracked[tasks]
        if self.bias_correction:
            active /= (1 - self.momentum ** self.steps[tasks])[:, None].to(active)
        return active
