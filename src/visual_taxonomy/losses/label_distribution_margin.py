"""Label-distribution-aware margin (LDAM)."""

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.priors import margins
from visual_taxonomy.losses.reduction import mean_cross_entropy, weighted_mean, widened


class LabelDistributionAwareMargin(Loss):
    """Cross-entropy that asks for a margin, the wider the rarer the class.

        loss = CE(scale * (logits - margin[target] at the target), target)
        margin[c] = max_margin * (smallest count / counts[c]) ** (1/4)

    Weighted mean: over the sum of `class_weights[target]`. The logits are taken as cosines, the
    output of a cosine head, in [-1, 1]. On raw logits of a linear head `scale` 30 saturates the
    softmax and multiplies gradients by 30: set `scale` 1 there. An absent class has margin 0. A
    soft target needs [N, C, C] numbers.

    Args:
        class_counts: [C] training examples of each class, >= 0.
        max_margin: Margin of the rarest class that occurs, in cosines; >= 0.
        scale: Factor on the logits after the margin; > 0.

    Raises:
        InputError: A parameter is outside its range, or the counts are no counts.

    References:
        Cao et al., NeurIPS 2019, https://arxiv.org/abs/1906.07413;
        kaidic/LDAM-DRW, losses.py and cifar_train.py (cosine head).

    Example:
        >>> loss = LabelDistributionAwareMargin(torch.tensor([16, 1]), max_margin=0.5, scale=2.0)
        >>> loss(torch.tensor([[0.0, 0.5]]), torch.tensor([1]))
        tensor(0.6931)
    """

    head = "cosine"
    margins: Tensor

    def __init__(self, class_counts: Tensor, max_margin: float = 0.5, scale: float = 30.0) -> None:
        super().__init__()
        max_margin = checked("max_margin", max_margin, low=0)
        self.scale = checked("scale", scale, low=0, low_included=False)
        self.register_buffer("margins", margins(class_counts, max_margin))

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        # Row k is the margin of class k at k and 0 elsewhere, so a target picks its row.
        shifts = torch.diag(self.margins)
        if not target.is_floating_point():
            shifted = self.scale * (widened(logits) - shifts.index_select(0, target))
            return mean_cross_entropy(shifted, target, class_weights)
        shifted = self.scale * (widened(logits)[:, None, :] - shifts)  # [n, k]: as if k were true
        losses = -F.log_softmax(shifted, dim=-1).diagonal(dim1=1, dim2=2)
        return weighted_mean(losses, target, class_weights)
