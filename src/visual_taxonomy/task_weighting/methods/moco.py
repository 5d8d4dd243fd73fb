"""Multi-objective gradients with correction: tracked gradients, slowly moving weights."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import Combination, JacobianCombination
from visual_taxonomy.task_weighting.gramian import combine_rows, gramian_of_rows
from visual_taxonomy.task_weighting.solvers.quadratic import project_on_simplex


class CorrectedMultiObjective(JacobianCombination):
    """MoCo: weights follow the shortest combination of moving averages of the gradients.

        y = y - beta * (y - gradient)
        weights = project(weights - gamma * (Y Y' + ridge) weights)
        direction = sum of weight * y,   beta = b * k^-beta_decay, gamma = g * k^-gamma_decay

    k counts the steps of each task. The weights of the active tasks sum to 1 in each step; what
    inactive tasks track and weigh stays as it is. The first directions are short, since y starts
    at zero.

    Args:
        task_names: [T] names of all tasks.
        beta: Share of a new gradient in what is tracked, in (0, 1].
        beta_decay: Exponent >= 0 with which that share falls.
        gamma: Step of the weights; >= 0.
        gamma_decay: Exponent >= 0 with which it falls.
        ridge: Pull of the weights toward each other; >= 0.
        projection: On the simplex (the paper), or by "softmax" (the authors' Cityscapes script).
        grad_norm: Gradients as they are ("none", the paper), or at the length of the loss ("loss",
            that script).
        tracked_dtype: Type of the T x P tracked gradients; "bfloat16" halves their memory.

    Raises:
        InputError: An argument is out of its range.

    References:
        Fernando et al., ICLR 2023, https://arxiv.org/abs/2210.12624.

    Example:
        >>> method = CorrectedMultiObjective(["c/a", "c/b"])
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> method(rows, torch.ones(2), [0, 1]).direction  # 0.99 of the mean gradient
        tensor([0.4950, 0.4950])
    """

    weights: Tensor
    steps: Tensor

    def __init__(
        self,
        task_names: Sequence[str],
        beta: float = 0.99,
        beta_decay: float = 0.0,
        gamma: float = 0.1,
        gamma_decay: float = 0.0,
        ridge: float = 0.0,
        projection: Literal["simplex", "softmax"] = "simplex",
        grad_norm: Literal["none", "loss"] = "none",
        tracked_dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__(task_names, tracked_dtype)
        if not 0 < beta <= 1 or min(beta_decay, gamma, gamma_decay, ridge) < 0:
            raise InputError(
                "MoCo: beta must be in (0, 1], the other numbers not negative, not "
                f"{(beta, beta_decay, gamma, gamma_decay, ridge)}"
            )
        if projection not in ("simplex", "softmax"):
            raise InputError(f"MoCo: projection '{projection}' is none of: simplex, softmax")
        if grad_norm not in ("none", "loss"):
            raise InputError(f"MoCo: grad_norm '{grad_norm}' is none of: none, loss")
        self.beta, self.beta_decay = beta, beta_decay
        self.gamma, self.gamma_decay, self.ridge = gamma, gamma_decay, ridge
        self.projection = projection
        self.grad_norm = grad_norm
        num_tasks = len(self.task_names)
        self.register_buffer(
            "weights", torch.full((num_tasks,), 1 / num_tasks, dtype=torch.float64)
        )
        self.register_buffer("steps", torch.zeros(num_tasks, dtype=torch.float64))

    @override
    def forward(
        self,
        rows: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Combination:
        self.allocate(rows)
        self.steps[tasks] += 1
        beta = self.beta * self.steps[tasks] ** -self.beta_decay
        for position, task in enumerate(tasks):
            row = rows[position]
            if self.grad_norm == "loss":
                row = row * (losses[position] / torch.linalg.vector_norm(row))
            self.tracked[task].lerp_(row.to(self.tracked), beta[position].to(self.tracked))
        active = self.tracked[tasks]
        previous = self.weights[tasks]
        # Tasks that together have lost all weight to tasks not active now start over.
        initial = torch.full_like(previous, 1 / len(self.weights))
        previous = torch.where(previous.sum() > 0, previous, initial)
        # The active tasks share out what they had together; those not active keep theirs.
        share = previous.sum()
        weights = previous / share
        slope = gramian_of_rows(active) @ weights + self.ridge * weights
        weights = weights - self.gamma * self.steps[tasks] ** -self.gamma_decay * slope
        if self.projection == "simplex":
            weights = project_on_simplex(weights)
        else:
            weights = weights.softmax(0)
        self.weights[tasks] = weights * share
        return Combination(combine_rows(active, weights), weights)
