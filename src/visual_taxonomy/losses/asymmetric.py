"""Asymmetric loss for one label per entry (ASL)."""

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.focal import focused
from visual_taxonomy.losses.reduction import plain_mean, widened


class Asymmetric(Loss):
    """Smoothed cross-entropy that focuses on the true class and on the others separately.

        loss = (1 - smoothing + smoothing / C) * (1 - p[target]) ** gamma_positive * -log p[target]
             + smoothing / C * sum over c != target of p[c] ** gamma_negative * -log p[c]

    Plain mean: class weights multiply the losses, the sum is divided by N. With `smoothing` 0 it
    is focal loss of `gamma_positive`; with both gammas 0 it is smoothed cross-entropy.

    Args:
        class_counts: [C] training examples of each class; not used.
        gamma_positive: Focus on the true class, >= 0.
        gamma_negative: Focus on the other classes, >= 0.
        smoothing: Share of the target spread over all classes, in [0, 1].

    Raises:
        InputError: A parameter is outside its range.

    References:
        Ridnik et al., ICCV 2021, https://arxiv.org/abs/2009.14119; the form for one label and the
        defaults: Alibaba-MIIL/ASL, src/loss_functions/losses.py, ASLSingleLabel.

    Example:
        >>> loss = Asymmetric(torch.tensor([9, 1]), gamma_negative=1.0, smoothing=0.2)
        >>> loss(torch.zeros(1, 2), torch.tensor([0]))  # (0.9 + 0.1 / 2) * log 2
        tensor(0.6585)
    """

    weight_reduction = "plain"

    def __init__(
        self,
        class_counts: Tensor,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        smoothing: float = 0.1,
    ) -> None:
        super().__init__()
        self.gamma_positive = checked("gamma_positive", gamma_positive, low=0)
        self.gamma_negative = checked("gamma_negative", gamma_negative, low=0)
        self.smoothing = checked("smoothing", smoothing, low=0, high=1)

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        likelihood = -F.log_softmax(widened(logits), dim=-1)
        share = self.smoothing / logits.shape[-1]
        positive = (1 - self.smoothing + share) * focused(likelihood, self.gamma_positive)
        # p ** gamma by way of exp: a power of p = 0 has an infinite slope where gamma is below 1.
        negative = share * torch.exp(-self.gamma_negative * likelihood) * likelihood
        # Every class as if it were the true one, so that soft targets are an expectation over
        # columns.
        losses = positive - negative + negative.sum(dim=-1, keepdim=True)  # [N, C], as if c is true
        if not target.is_floating_point():
            losses = losses.gather(1, target[:, None]).squeeze(1)
        return plain_mean(losses, target, class_weights)
