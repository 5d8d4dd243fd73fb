"""Class-balanced focal loss (F-CB)."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.effective_number import effective_number_weights
from visual_taxonomy.losses.focal import Focal


class ClassBalancedFocal(Focal):
    """Focal loss weighted by the inverse effective number of examples of the class.

        loss = weight[target] * (1 - p) ** gamma * -log p,  p = softmax(logits)[target]
        weight[c] = (1 - beta) / (1 - beta ** counts[c]), scaled to mean 1 over present classes

    Plain mean: the sum is divided by N. Class weights of a schedule multiply its own, so classes
    are weighted twice (`reweights`). An absent class has weight 0. This is the softmax form; the
    authors' code sums sigmoids over the classes.

    Args:
        class_counts: [C] training examples of each class, >= 0.
        beta: In [0, 1]; 0 is focal loss, 1 inverse frequency.
        gamma: Focus, >= 0; the paper tries 0.5, 1 and 2.

    Raises:
        InputError: A parameter is outside its range, or the counts are no counts.

    References:
        Cui et al., CVPR 2019, https://arxiv.org/abs/1901.05555.

    Example:
        >>> import torch
        >>> loss = ClassBalancedFocal(torch.tensor([3, 1]), beta=1.0, gamma=1.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # 1.5 * 0.5 * log 2
        tensor(0.5199)
    """

    reweights = True
    balanced_weights: Tensor

    def __init__(self, class_counts: Tensor, beta: float = 0.9999, gamma: float = 2.0) -> None:
        super().__init__(class_counts, gamma)
        self.register_buffer("balanced_weights", effective_number_weights(class_counts, beta))

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        # Not multiplied in beforehand: the weights of a schedule change from epoch to epoch.
        weights = self.balanced_weights
        if class_weights is not None:
            weights = weights * class_weights
        # The weights scale whole losses; p itself is not weighted, unlike in the original system.
        return super().forward(logits, target, weights)
