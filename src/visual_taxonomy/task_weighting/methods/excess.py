"""Weights that follow the excess risk of each task."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import Combination, JacobianCombination
from visual_taxonomy.task_weighting.gramian import combine_rows

_SMALLEST = 1e-7  # the authors'; keeps an entry that never had a gradient from being 0 / 0


class ExcessRisk(JacobianCombination):
    """ExcessMTL: the farther a task is from its optimum, the more weight it gets.

        s = s + gradient^2,   excess = sum of gradient^2 / sqrt(s + 1e-7)
        weight = weight * exp(step_size * excess / first excess), rescaled to keep the sum

    s is per parameter, as in AdaGrad; the first excess is that of a task's first step, at which its
    weight stays. Weights start at 1 and keep at least 1e-3 / A of the sum.

    Args:
        task_names: [T] names of all tasks.
        step_size: Of the weights, >= 0 (the authors' code 0.01, their example 1).
        tracked_dtype: Type of the T x P sums of squares.

    Raises:
        InputError: The step size is negative.

    References:
        He et al., ICML 2024, https://arxiv.org/abs/2402.02009.

    Example:
        >>> method = ExcessRisk(["c/a", "c/b"])
        >>> method(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.ones(2), [0, 1])
        Combination(direction=tensor([1., 2.]), weights=tensor([1., 1.]))
    """

    default_head_scale = "weights"
    weights: Tensor
    first: Tensor

    def __init__(
        self,
        task_names: Sequence[str],
        step_size: float = 0.01,
        tracked_dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__(task_names, tracked_dtype)
        if step_size < 0:
            raise InputError(f"ExcessMTL: step_size must not be negative, not {step_size}")
        self.step_size = step_size
        num_tasks = len(self.task_names)
        self.register_buffer("weights", torch.ones(num_tasks))
        self.register_buffer("first", torch.zeros(num_tasks))  # 0: not seen yet

    @override
    def forward(
        self,
        rows: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Combination:
        self.allocate(rows)
        excess = torch.stack(
            [self._excess(row, task) for row, task in zip(rows, tasks, strict=True)]
        )
        first = self.first[tasks]
        is_known = first > 0
        # The floor keeps 0 / 0 out of the branch that is not taken.
        relative = torch.where(is_known, excess / first.clamp_min(1e-38), 0.0)
        self.first[tasks] = torch.where(is_known, first, excess)
        previous = self.weights[tasks]
        total = previous.sum()
        shares = (previous.log() + self.step_size * relative).softmax(0)
        # A weight of 0 stays 0 under a multiplicative update: without a floor a task is lost.
        shares = shares.clamp_min(1e-3 / len(tasks))
        weights = torch.where(is_known.any(), shares / shares.sum() * total, previous)
        self.weights[tasks] = weights
        return Combination(combine_rows(rows, weights), weights)

    def _excess(self, row: Tensor, task: int) -> Tensor:
        squared = row.float().square()
        self.tracked[task] += squared.to(self.tracked)
        return (squared / (self.tracked[task].float() + _SMALLEST).sqrt()).sum()
