"""Direction-oriented multi-objective learning."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.two_batches import Batches, TwoBatchCombination
from visual_taxonomy.task_weighting.solvers.quadratic import project_on_simplex

# Two batches may have orthogonal gradients: 0 / 0 would spoil the weights for good.
_SMALLEST = 1e-30


class DirectionOriented(TwoBatchCombination):
    """SDMGrad: the shortest combination of the gradients, pulled toward their mean.

        20 times:  weights = simplex(weights - step_size * velocity)
                   velocity = momentum * velocity + J1 J2' (weights + pull / A)
        direction = sum of (weight + pull / A) / (1 + pull) * gradient

    J1 J2' is divided by the squared mean of the roots of its absolute diagonal (the authors leave
    negative entries out). The two batches are those of the task's last two steps, and a step uses
    the weights found before it, where the paper draws three batches in each step:
    see `TwoBatchCombination`.

    Args:
        task_names: [T] names of all tasks.
        pull: The paper's lambda, >= 0; the higher, the nearer to the mean gradient.
        step_size: Of the weights, > 0 (the authors 10, LibMTL 5). With these the weights swing from
            task to task; with 0.5 they come to rest at the minimum.
        momentum: In [0, 1).
        iterations: Steps of the weights in each step; >= 1.
        batches: "two", or "one" for the Gramian of the batch: biased, but without memory.
        tracked_dtype: Type of the T x P kept gradients; "bfloat16" halves their memory.

    Raises:
        InputError: An argument is out of its range.

    References:
        Xiao, Ban, Ji, NeurIPS 2023, https://arxiv.org/abs/2305.18409.

    Example:
        >>> method = DirectionOriented(["c/a", "c/b"], step_size=0.5, batches="one")
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> step = method(rows, torch.ones(2), [0, 1])
        >>> step.direction, method.weights  # the mean gradient; then the longer one weighs less
        (tensor([0.5000, 1.0000]), tensor([0.8902, 0.1098], dtype=torch.float64))
    """

    def __init__(
        self,
        task_names: Sequence[str],
        pull: float = 0.3,
        step_size: float = 10.0,
        momentum: float = 0.5,
        iterations: int = 20,
        batches: Batches = "two",
        tracked_dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__(task_names, batches, tracked_dtype)
        if pull < 0 or step_size <= 0 or not 0 <= momentum < 1 or iterations < 1:
            raise InputError(
                "SDMGrad: pull must not be negative, step_size positive, momentum in [0, 1) and "
                f"iterations at least 1, not {(pull, step_size, momentum, iterations)}"
            )
        self.pull = pull
        self.step_size = step_size
        self.momentum = momentum
        self.iterations = iterations

    @override
    def move(self, products: Tensor, weights: Tensor) -> Tensor:
        scale = products.diagonal().abs().sqrt().mean().square()
        products = products / scale.clamp_min(_SMALLEST)
        toward_mean = products.sum(1) * (self.pull / len(weights))
        velocity = torch.zeros_like(weights)
        for _ in range(self.iterations):
            velocity = self.momentum * velocity + products @ weights + toward_mean
            weights = project_on_simplex(weights - self.step_size * velocity)
        return weights

    @override
    def applied(self, weights: Tensor) -> Tensor:
        return (weights + self.pull / len(weights)) / (1 + self.pull)
