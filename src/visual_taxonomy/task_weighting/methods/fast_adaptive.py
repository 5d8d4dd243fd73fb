"""Fast adaptive multi-task optimization."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import LossWeighting

_SMALLEST = 1e-8  # the authors': added to losses, whose log it keeps finite, and as Adam's epsilon
_FIRST_DECAY, _SECOND_DECAY = 0.9, 0.999  # Adam's


class FastAdaptiveOptimization(LossWeighting):
    """FAMO: the logarithms of all losses are to fall equally fast, seen from the losses alone.

        objective = c * sum of z * log(loss),   z = softmax(logits), c such that weights sum to 1
        logits take a step of Adam against the slope of z by them, times the fall of log(loss)

    The authors measure the fall by a second forward pass of the same batch after the update, which
    the loop of this package does not make: here it is the difference to the task's loss in its
    next step, on another batch. That costs nothing; the noise between batches averages out in
    Adam's moments, but the logits move in a less straight line. Your own training loop can
    have the original: call `update` with the losses of the same batch after the optimizer's step.

    Logits and moments are buffers, moved here and not by an optimizer; an inactive task keeps its
    own. What two or more active tasks are compared by is the softmax over those active.

    Args:
        task_names: [T] names of all tasks.
        learning_rate: Of the logits; >= 0.
        weight_decay: Pull of the logits toward 0, >= 0 (LibMTL 1e-3, the authors' code 1e-5).

    Raises:
        InputError: An argument is negative.

    References:
        Liu, Feng, Stone, Liu, NeurIPS 2023, https://arxiv.org/abs/2306.03792.

    Example:
        >>> method = FastAdaptiveOptimization(["c/a", "c/b", "c/c"])
        >>> losses = torch.tensor([0.8, 1.5, 0.3], requires_grad=True)
        >>> method(losses, [0, 1, 2]).backward()
        >>> losses.grad
        tensor([0.2381, 0.1270, 0.6349])
    """

    logits: Tensor
    first_moments: Tensor
    second_moments: Tensor
    steps: Tensor
    last_losses: Tensor

    def __init__(
        self,
        task_names: Sequence[str],
        learning_rate: float = 0.025,
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__(task_names)
        if min(learning_rate, weight_decay) < 0:
            raise InputError(
                f"FAMO: learning_rate and weight_decay must not be negative, "
                f"not {learning_rate} and {weight_decay}"
            )
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        for name in ("logits", "first_moments", "second_moments", "steps"):
            self.register_buffer(name, torch.zeros(len(self.task_names)))
        self.register_buffer("last_losses", torch.zeros(len(self.task_names)))  # 0: none waits

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        values = losses.detach()
        self.update(values, tasks)
        self.last_losses[tasks] = values.to(self.last_losses)
        weights = self.logits[tasks].to(values).softmax(0)
        weights = weights / (weights / (values + _SMALLEST)).sum()
        return weights @ (losses + _SMALLEST).log()

    @torch.no_grad()
    def update(self, losses: Tensor, tasks: Sequence[int]) -> None:
        """Move the logits by how far the losses fell since the tasks' last step.

        Each step counts once: after a call, the next step of the tasks compares nothing.

        Args:
            losses: [A] losses on the same batch, after the step.
            tasks: [A] indices of the tasks of that step, see `indices`.
        """
        before, logits = self.last_losses[tasks], self.logits[tasks]
        used = before > 0
        used &= used.sum() > 1  # one task alone has nothing to be compared with
        fall = ((before + _SMALLEST) / (losses.to(before) + _SMALLEST)).log()
        fall = torch.where(used, fall, 0.0)
        shares = torch.where(used, logits, -torch.inf).softmax(0).nan_to_num()
        slope = shares * (fall - shares @ fall) + self.weight_decay * logits
        steps = self.steps[tasks] + 1
        first = self.first_moments[tasks].lerp(slope, 1 - _FIRST_DECAY)
        second = self.second_moments[tasks].lerp(slope.square(), 1 - _SECOND_DECAY)
        size = (second / (1 - _SECOND_DECAY**steps)).sqrt() + _SMALLEST
        moved = logits - self.learning_rate * first / (1 - _FIRST_DECAY**steps) / size
        for buffer, new in (
            (self.logits, moved),
            (self.first_moments, first),
            (self.second_moments, second),
            (self.steps, steps),
        ):
            # Moments and steps as well: to a task without a comparison this step did not happen.
            buffer[tasks] = torch.where(used, new, buffer[tasks])
        self.last_losses[tasks] = 0.0
