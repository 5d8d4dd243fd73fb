"""Label smoothing around any cross-entropy."""

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.reduction import LEAST_WEIGHT, entry_weights


class Smoothed(Loss):
    """A loss whose targets are mixed with the uniform distribution over the classes.

        target' = (1 - smoothing) * target + smoothing / C

    The mean divides by what it divides by without smoothing: N, or the sum of the class weights of
    the labels. That is the definition of `torch.nn.CrossEntropyLoss`.

    Args:
        loss: One that `takes_smoothing`.
        smoothing: Share of the target spread over all classes, in [0, 1].

    Raises:
        InputError: `smoothing` is outside its range.

    References:
        Szegedy et al., CVPR 2016, https://arxiv.org/abs/1512.00567.

    Example:
        >>> from visual_taxonomy.losses.cross_entropy import CrossEntropy
        >>> loss = Smoothed(CrossEntropy(torch.tensor([9, 1])), smoothing=0.2)
        >>> loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))  # 0.9 * 0.3133 + 0.1 * 1.3133
        tensor(0.4133)
    """

    def __init__(self, loss: Loss, smoothing: float) -> None:
        super().__init__()
        self.loss = loss
        self.smoothing = checked("smoothing", smoothing, low=0, high=1)

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        share = self.smoothing / logits.shape[-1]
        if target.is_floating_point():
            smoothed = (1 - self.smoothing) * target + share
        else:
            # In float32 whatever the logits: bfloat16 would round the small share to three digits.
            smoothed = logits.new_full(logits.shape, share, dtype=torch.float32)
            smoothed.scatter_(1, target[:, None], 1 - self.smoothing + share)
        value: Tensor = self.loss(logits, smoothed, class_weights, features)
        if class_weights is None or self.loss.weight_reduction == "plain":
            return value
        # The loss has divided by the weights of the smoothed targets; torch divides by those of
        # the labels, or a batch of rare classes would count less the more it is smoothed.
        of_labels = entry_weights(target, class_weights).sum().clamp_min(LEAST_WEIGHT)
        return value * entry_weights(smoothed, class_weights).sum() / of_labels
