"""The shortest convex combination of the gradients."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.solvers.quadratic import min_norm_weights

Normalizer = Literal["none", "l2", "loss", "loss+"]


class MultipleGradientDescent(GramianWeighting):
    """The shortest combination of the (normalized) gradients with weights on the simplex.

        weights = argmin over the simplex of |sum of weight * gradient / normalizer|

    It does not increase any loss to first order and is zero exactly at Pareto-stationary points.
    With source "features" this is the authors' MGDA-UB.

    Args:
        task_names: [T] names of all tasks.
        normalizer: What a gradient is divided by to find the weights: "none", "l2" (its norm),
            "loss" or "loss+" (loss x norm).
        update: Gradients that are combined with these weights: "raw" (the authors' code) or
            "normalized" (LibMTL).

    Raises:
        InputError: An argument does not exist.

    References:
        Sener, Koltun, NeurIPS 2018, https://arxiv.org/abs/1810.04650.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> MultipleGradientDescent(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([0.5385, 0.4615], dtype=torch.float64)
    """

    default_head_scale = "weights"

    def __init__(
        self,
        task_names: Sequence[str],
        normalizer: Normalizer = "none",
        update: Literal["raw", "normalized"] = "raw",
    ) -> None:
        super().__init__(task_names)
        if normalizer not in ("none", "l2", "loss", "loss+"):
            raise InputError(f"MGDA: normalizer '{normalizer}' is none of: none, l2, loss, loss+")
        if update not in ("raw", "normalized"):
            raise InputError(f"MGDA: update '{update}' is none of: raw, normalized")
        self.normalizer = normalizer
        self.update = update

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        norms = gramian.diagonal().sqrt()
        # As a divisor, the loss 0 of a solved task would make its gradient infinite.
        positive = losses.to(gramian).clamp_min(1e-8)
        divisors = {
            "none": torch.ones_like(norms),
            "l2": norms,
            "loss": positive,
            "loss+": positive * norms,
        }[self.normalizer]
        weights = min_norm_weights(gramian / (divisors[:, None] * divisors))
        return weights if self.update == "raw" else weights / divisors
