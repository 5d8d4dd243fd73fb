"""Multi-objective gradients with double sampling."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.two_batches import Batches, TwoBatchCombination
from visual_taxonomy.task_weighting.solvers.quadratic import project_on_simplex


class DoubleSampling(TwoBatchCombination):
    """MoDo: weights creep toward the shortest combination of the gradients, without bias.

        weights = simplex(weights - gamma * (J1 J2' + rho) weights)
        direction = sum of weight * gradient

    The two batches are those of the task's last two steps, and a step uses the weights found before
    it, where the paper draws three batches in each step: see `TwoBatchCombination`.

    Args:
        task_names: [T] names of all tasks.
        gamma: Step of the weights, >= 0 (LibMTL 1e-3); in units of the inverse squared gradient.
        rho: Pull of the weights toward each other; >= 0.
        batches: "two", or "one" for the Gramian of the batch: biased, but without memory.
        tracked_dtype: Type of the T x P kept gradients; "bfloat16" halves their memory.

    Raises:
        InputError: An argument is out of its range.

    References:
        Chen, Fernando, Ying, Chen, NeurIPS 2023, https://arxiv.org/abs/2305.20057.

    Example:
        >>> import torch
        >>> method = DoubleSampling(["c/a", "c/b"], rho=0.0)
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> for _ in range(2):  # of two different batches
        ...     step = method(rows, torch.ones(2), [0, 1])
        >>> step.direction, method.weights
        (tensor([0.5000, 1.0000]), tensor([0.5750, 0.4250], dtype=torch.float64))
    """

    def __init__(
        self,
        task_names: Sequence[str],
        gamma: float = 0.1,
        rho: float = 0.1,
        batches: Batches = "two",
        tracked_dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__(task_names, batches, tracked_dtype)
        if min(gamma, rho) < 0:
            raise InputError(f"MoDo: gamma and rho must not be negative, not {gamma} and {rho}")
        self.gamma = gamma
        self.rho = rho

    @override
    def move(self, products: Tensor, weights: Tensor) -> Tensor:
        slope = products @ weights + self.rho * weights
        return project_on_simplex(weights - self.gamma * slope)
