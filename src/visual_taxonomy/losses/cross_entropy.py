"""Cross-entropy."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.reduction import mean_cross_entropy, widened


class CrossEntropy(Loss):
    """Cross-entropy of the softmax, with optional label smoothing.

        loss = -log softmax(logits)[target]

    Weighted mean: over the sum of `class_weights[target]`. Smoothing mixes the target with the
    uniform distribution, `(1 - smoothing) * onehot + smoothing / C`, as in `torch.nn`.

    Args:
        class_counts: [C] training examples of each class; not used.
        smoothing: Share of the target spread over all classes, in [0, 1]; 0 is off, the paper
            below uses 0.1.

    Raises:
        InputError: `smoothing` is outside its range.

    References:
        Smoothing: Szegedy et al., CVPR 2016, https://arxiv.org/abs/1512.00567.

    Example:
        >>> import torch
        >>> loss = CrossEntropy(torch.tensor([90, 9, 1]))
        >>> loss(torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([0]))
        tensor(0.2413)
    """

    takes_smoothing = True

    def __init__(self, class_counts: Tensor, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = checked("smoothing", smoothing, low=0, high=1)

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        return mean_cross_entropy(widened(logits), target, class_weights, self.smoothing)
