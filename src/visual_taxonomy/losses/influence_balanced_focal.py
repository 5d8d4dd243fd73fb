"""Influence-balanced focal loss (IBFocal)."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import checked
from visual_taxonomy.losses.focal import focused
from visual_taxonomy.losses.influence_balanced import InfluenceBalanced


class InfluenceBalancedFocal(InfluenceBalanced):
    """Focal loss divided by the influence of each entry on the head.

        loss = (1 - p) ** gamma * -log p * factor,  p = softmax(logits)[target]

    with the factor, the mean and the two phases of `InfluenceBalanced`. The focus uses p as it
    is; the published code takes it from the class-weighted loss, which is not followed.

    Args:
        class_counts: [C] training examples of each class; not used.
        gamma: Focus, >= 0; 0 is `InfluenceBalanced`.
        alpha: Numerator of the factor, > 0.
        epsilon: Summand of the denominator of the factor, > 0.
        max_factor: Upper bound of the factor, > 0; None for alpha / epsilon.
        detach_factor: Whether the factor is a constant to the gradient.

    Raises:
        InputError: As `InfluenceBalanced`.

    References:
        Park et al., ICCV 2021, https://arxiv.org/abs/2110.02444;
        pseulki/IB-Loss, losses.py.

    Example:
        >>> import torch
        >>> loss = InfluenceBalancedFocal(torch.tensor([9, 1]), alpha=1.0, epsilon=1e-3)
        >>> features = torch.tensor([[1.0, -1.0]])
        >>> loss(torch.zeros(1, 2), torch.tensor([0]), features=features)  # half of IB's
        tensor(0.1732)
    """

    def __init__(
        self,
        class_counts: Tensor,
        gamma: float = 1.0,
        alpha: float = 1000.0,
        epsilon: float = 1e-3,
        max_factor: float | None = None,
        detach_factor: bool = True,
    ) -> None:
        super().__init__(class_counts, alpha, epsilon, max_factor, detach_factor)
        self.gamma = checked("gamma", gamma, low=0)

    @override
    def _modulated(self, likelihood: Tensor) -> Tensor:
        return focused(likelihood, self.gamma)
