"""Class-balanced cross-entropy (CE-CB)."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.effective_number import effective_number_weights
from visual_taxonomy.losses.base import Loss
from visual_taxonomy.losses.reduction import summed_cross_entropy, widened


class ClassBalancedCrossEntropy(Loss):
    """Cross-entropy weighted by the inverse effective number of examples of the class.

        loss = weight[target] * -log softmax(logits)[target]
        weight[c] = (1 - beta) / (1 - beta ** counts[c]), scaled to mean 1 over present classes

    Plain mean: the sum is divided by N. That makes it another loss than `CE` under `CBReweight`,
    whose weighted mean divides by the weights. Class weights of a schedule multiply its own, so
    classes are weighted twice (`reweights`). An absent class has weight 0.

    Args:
        class_counts: [C] training examples of each class, >= 0.
        beta: In [0, 1]; 0 is cross-entropy, 1 inverse frequency.

    Raises:
        InputError: `beta` is outside its range, or the counts are no counts.

    References:
        Cui et al., CVPR 2019, https://arxiv.org/abs/1901.05555.

    Example:
        >>> import torch
        >>> loss = ClassBalancedCrossEntropy(torch.tensor([3, 1]), beta=1.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # 1.5 * log 2
        tensor(1.0397)
    """

    takes_smoothing = True
    reweights = True
    weight_reduction = "plain"
    balanced_weights: Tensor

    def __init__(self, class_counts: Tensor, beta: float = 0.9999) -> None:
        super().__init__()
        self.register_buffer("balanced_weights", effective_number_weights(class_counts, beta))

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        weights = self.balanced_weights
        if class_weights is not None:
            weights = weights * class_weights
        # Over N, not over the weights: that is what makes it another loss than CE under CBReweight.
        return summed_cross_entropy(widened(logits), target, weights) / len(target)
