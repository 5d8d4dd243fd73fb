"""Weights from a learned variance of each task."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import LossWeighting


class UncertaintyWeighting(LossWeighting):
    """Each task has a learned log variance s; the noisier the task, the lower its weight.

        objective = sum of exp(-s) * loss / 2 + s / 2    (form "regression")
        objective = sum of exp(-s) * loss + s / 2        (form "classification")

    The log variances are parameters, one scalar per task, so an optimizer leaves those of inactive
    tasks alone. Give them their own group: no weight decay, learning rate 1e-3 to 1e-2.

    Args:
        task_names: [T] names of all tasks.
        form: Which of the two objectives; at the optimum of either every weighted loss is 1/2.
        initial_log_variance: s at the start (LibMTL -0.5, TorchJD 0).

    Raises:
        InputError: The form does not exist.

    References:
        Kendall, Gal, Cipolla, CVPR 2018, https://arxiv.org/abs/1705.07115.

    Example:
        >>> method = UncertaintyWeighting(["c/a", "c/b", "c/c"])
        >>> method(torch.tensor([0.8, 1.5, 0.3]), [0, 1, 2]).item()
        1.393337...
    """

    def __init__(
        self,
        task_names: Sequence[str],
        form: Literal["regression", "classification"] = "regression",
        initial_log_variance: float = -0.5,
    ) -> None:
        super().__init__(task_names)
        if form not in ("regression", "classification"):
            raise InputError(f"UW: form is 'regression' or 'classification', not '{form}'")
        self.factor = 0.5 if form == "regression" else 1.0
        self.log_variances = nn.ParameterList(
            nn.Parameter(torch.tensor(initial_log_variance)) for _ in self.task_names
        )

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        # Beyond e^10 the loss is all but gone from its own gradient, and s drifts for good.
        log_variances = torch.stack([self.log_variances[task] for task in tasks]).clamp(-10, 10)
        return (self.factor * torch.exp(-log_variances) * losses + log_variances / 2).sum()
