"""Impartial multi-task learning: equal progress along every task's gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.task_weighting.base import GramianWeighting
from visual_taxonomy.task_weighting.gramian import unit_gramian

# On cosines. Parallel gradients make the system singular: without it their weights are huge and of
# opposite signs, and which is positive is rounding.
_RIDGE = 1e-6
# Weights are divided by their sum, which passes through 0 in strong conflict: there the update
# would grow without bound and turn uphill.
_LEAST_SHARE = 0.05


def equal_projection_weights(gramian: Tensor) -> Tensor:
    """[A] weights whose combination has the same, positive projection on all unit gradients.

    They sum to 1 unless that would turn the direction around or blow it up (the plain sum below
    0.05 of the sum of absolute values); then the absolute values sum to 1.

    Args:
        gramian: [A, A] inner products, float64, diagonal > 0.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> equal_projection_weights(gramian)
        tensor([0.5279, 0.4721], dtype=torch.float64)
    """
    cosines, norms = unit_gramian(gramian)
    identity = torch.eye(len(gramian), dtype=gramian.dtype)
    solution = torch.linalg.solve(cosines + _RIDGE * identity, torch.ones_like(norms))
    weights = solution / (norms / norms.min())
    total, absolute = weights.sum(), weights.abs().sum()
    return weights / torch.where(total > _LEAST_SHARE * absolute, total, absolute)


class ImpartialLearning(GramianWeighting):
    """IMTL: losses are scaled by learned factors, gradients combined without bias.

        loss of task t becomes exp(s) * loss - s, with s learned       (IMTL-L)
        weights with equal projections on all unit gradients, sum 1     (IMTL-G)

    The scales are parameters, one scalar per task; their optimum is s = -log(loss). Give them their
    own optimizer group without weight decay. Scaling a loss does not turn the direction. The
    paper takes gradients of the last shared feature: source "features".

    References:
        Liu et al., ICLR 2021, https://openreview.net/forum?id=IMPnRXEWpvr.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> ImpartialLearning(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([0.5279, 0.4721], dtype=torch.float64)
    """

    def __init__(self, task_names: Sequence[str]) -> None:
        super().__init__(task_names)
        self.log_scales = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in self.task_names)

    @override
    def transform(self, losses: Tensor, tasks: Sequence[int]) -> Tensor:
        # Beyond e^10 one bad step of the learnt scale is past undoing: its own slope is as large.
        log_scales = torch.stack([self.log_scales[task] for task in tasks]).clamp(-10, 10)
        return log_scales.exp() * losses - log_scales

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return equal_projection_weights(gramian)
