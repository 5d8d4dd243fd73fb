"""Vector scaling (VS)."""

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.priors import log_prior, temperatures
from visual_taxonomy.losses.reduction import mean_cross_entropy, widened


class VectorScaling(Loss):
    """Cross-entropy of logits that are scaled and shifted by the frequency of each class.

        loss = CE(factor * logits + offset, target)
        factor[c] = (counts[c] / largest count) ** gamma
        offset[c] = tau * log(counts[c] / sum of counts)

    Weighted mean: over the sum of `class_weights[target]`. Predict from the raw logits, which are
    not calibrated by design. Counts are floored at 1, so an absent class has finite tables.

    Args:
        class_counts: [C] training examples of each class, >= 0.
        gamma: Strength of the scaling, >= 0; 0 is `LA`.
        tau: Strength of the shift, >= 0; 0 is `CDT`.

    Raises:
        InputError: A parameter is outside its range, or the counts are no counts.

    References:
        Kini et al., NeurIPS 2021, https://arxiv.org/abs/2103.01550; orparask/VS-Loss, train.py.

    Example:
        >>> loss = VectorScaling(torch.tensor([3, 1]), gamma=1.0, tau=1.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(1/4)
        tensor(1.3863)
    """

    takes_smoothing = True
    factors: Tensor
    offsets: Tensor

    def __init__(self, class_counts: Tensor, gamma: float = 0.3, tau: float = 1.0) -> None:
        super().__init__()
        gamma, tau = checked("gamma", gamma, low=0), checked("tau", tau, low=0)
        self.register_buffer("factors", temperatures(class_counts, gamma))
        self.register_buffer("offsets", tau * log_prior(class_counts))

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
        return torch.addcmul(self.offsets, widened(logits), self.factors)
