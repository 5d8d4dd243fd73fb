"""Balanced softmax."""

from torch import Tensor

from visual_taxonomy.losses.logit_adjustment import LogitAdjustment


class BalancedSoftmax(LogitAdjustment):
    """Cross-entropy of a softmax whose terms are multiplied by the class counts.

        loss = -log(counts[target] * exp(logits[target]) / sum over c of counts[c] * exp(logits[c]))

    The same as `LA` with tau 1, and therefore without a parameter. Weighted mean: over the sum of
    `class_weights[target]`. Counts are floored at 1.

    Args:
        class_counts: [C] training examples of each class, >= 0.

    Raises:
        InputError: The counts are no counts.

    References:
        Ren et al., NeurIPS 2020, https://arxiv.org/abs/2007.10740.

    Example:
        >>> import torch
        >>> loss = BalancedSoftmax(torch.tensor([3, 1]))
        >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(1 / (3 + 1))
        tensor(1.3863)
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__(class_counts, tau=1.0)
