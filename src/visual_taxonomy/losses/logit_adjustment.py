"""Logit adjustment (LA)."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.priors import log_prior
from visual_taxonomy.losses.reduction import mean_cross_entropy, widened


class LogitAdjustment(Loss):
    """Cross-entropy of logits to which the log prior of each class is added.

        loss = CE(logits + tau * log prior, target),  prior[c] = counts[c] / sum of counts

    The raw logits, which predict, then learn what is left: the class-balanced posterior for tau 1.
    Weighted mean: over the sum of `class_weights[target]`. Counts are floored at 1, so an absent
    class has a finite prior.

    Args:
        class_counts: [C] training examples of each class, >= 0.
        tau: Strength, >= 0; 0 is cross-entropy, 1 aims at balanced accuracy.

    Raises:
        InputError: `tau` is outside its range, or the counts are no counts.

    References:
        Menon et al., ICLR 2021, https://arxiv.org/abs/2007.07314.

    Example:
        >>> import torch
        >>> loss = LogitAdjustment(torch.tensor([3, 1]))
        >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(1/4)
        tensor(1.3863)
    """

    takes_smoothing = True
    offsets: Tensor

    def __init__(self, class_counts: Tensor, tau: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("offsets", checked("tau", tau, low=0) * log_prior(class_counts))

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        return mean_cross_entropy(self.adjusted(logits), target, class_weights)

    @override
    def adjusted(self, logits: Tensor) -> Tensor:
        return widened(logits) + self.offsets
