"""Class-dependent temperatures (CDT)."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.priors import temperatures
from visual_taxonomy.losses.reduction import mean_cross_entropy, widened


class ClassDependentTemperatures(Loss):
    """Cross-entropy of logits that are scaled down the more the rarer the class.

        loss = CE(factor * logits, target)
        factor[c] = (counts[c] / largest count) ** gamma

    Weighted mean: over the sum of `class_weights[target]`. Predict from the raw logits. Counts
    are floored at 1, so an absent class has a finite factor. Unlike the other losses it changes
    when a constant is added to all logits.

    Args:
        class_counts: [C] training examples of each class, >= 0.
        gamma: Strength of the scaling, >= 0; 0 is cross-entropy.

    Raises:
        InputError: `gamma` is outside its range, or the counts are no counts.

    References:
        Ye et al., 2020, https://arxiv.org/abs/2001.01385.

    Example:
        >>> import torch
        >>> loss = ClassDependentTemperatures(torch.tensor([4, 1]), gamma=0.5)
        >>> loss(torch.tensor([[0.0, 2.0]]), torch.tensor([1]))  # log(1 + exp(-1))
        tensor(0.3133)
    """

    takes_smoothing = True
    factors: Tensor

    def __init__(self, class_counts: Tensor, gamma: float = 0.3) -> None:
        super().__init__()
        self.register_buffer("factors", temperatures(class_counts, checked("gamma", gamma, low=0)))

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
        return self.factors * widened(logits)
