"""Poly-1 cross-entropy and focal loss."""

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.focal import doubt, focused
from visual_taxonomy.losses.reduction import negative_log_likelihood, plain_mean, widened


class Poly1(Loss):
    """Cross-entropy or focal loss whose first polynomial term has its own weight.

        loss = (1 - p) ** gamma * -log p + epsilon * (1 - p) ** (gamma + 1)

    Plain mean: class weights multiply the losses, the sum is divided by N.

    Args:
        class_counts: [C] training examples of each class; not used.
        epsilon: Extra weight of the first term, >= -1; 0 is focal loss, the paper's choice for
            image classification is 2.
        gamma: Focus, >= 0; 0 is Poly-1 cross-entropy, above it Poly-1 focal loss.

    Raises:
        InputError: A parameter is outside its range.

    References:
        Leng et al., ICLR 2022, https://arxiv.org/abs/2204.12511.

    Example:
        >>> loss = Poly1(torch.tensor([9, 1]), epsilon=2.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([0]))
        tensor(1.6931)
    """

    takes_smoothing = True
    weight_reduction = "plain"

    def __init__(self, class_counts: Tensor, epsilon: float = 2.0, gamma: float = 0.0) -> None:
        super().__init__()
        # Below -1 the loss would rise as p nears 1.
        self.epsilon = checked("epsilon", epsilon, low=-1)
        self.gamma = checked("gamma", gamma, low=0)

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        likelihood = negative_log_likelihood(widened(logits), target)
        # The exponent is at least 1, so the slope at p = 1 is finite without a floor.
        polynomial = torch.pow(doubt(likelihood), self.gamma + 1)
        losses = focused(likelihood, self.gamma) + self.epsilon * polynomial
        return plain_mean(losses, target, class_weights)
