"""Focal loss of the softmax."""

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.reduction import negative_log_likelihood, plain_mean, widened

# Floor of 1 - p before the power, whose slope at 0 is infinite for gamma < 1.
_LEAST_DOUBT = 1e-12


def doubt(likelihood: Tensor) -> Tensor:
    """1 - p, from -log p, without cancellation where p is near 1.

    Example:
        >>> doubt(torch.tensor([0.0, 0.6931, 9.0]))
        tensor([0.0000, 0.5000, 0.9999])
    """
    return -torch.expm1(-likelihood)


def focused(likelihood: Tensor, gamma: float) -> Tensor:
    """(1 - p) ** gamma * -log p, elementwise, from -log p.

    Example:
        >>> focused(torch.tensor([0.6931]), gamma=2.0)
        tensor([0.1733])
    """
    if gamma == 0:
        return likelihood
    doubts = doubt(likelihood)
    if gamma < 1:
        doubts = doubts.clamp_min(_LEAST_DOUBT)
    return doubts**gamma * likelihood


class Focal(Loss):
    """Cross-entropy that counts less the surer the prediction already is.

        loss = (1 - p) ** gamma * -log p,  p = softmax(logits)[target]

    Plain mean: class weights multiply the losses, the sum is divided by N; p itself is never
    weighted. This is the softmax form; the paper's, for detection, is binary.

    Args:
        class_counts: [C] training examples of each class; not used.
        gamma: Focus, >= 0; 0 is cross-entropy, the paper's choice is 2.

    Raises:
        InputError: `gamma` is outside its range.

    References:
        Lin et al., ICCV 2017, https://arxiv.org/abs/1708.02002.

    Example:
        >>> loss = Focal(torch.tensor([90, 9, 1]), gamma=2.0)
        >>> loss(torch.zeros(1, 3), torch.tensor([0]))
        tensor(0.4883)
    """

    weight_reduction = "plain"

    def __init__(self, class_counts: Tensor, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = checked("gamma", gamma, low=0)

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        losses = focused(negative_log_likelihood(widened(logits), target), self.gamma)
        return plain_mean(losses, target, class_weights)
