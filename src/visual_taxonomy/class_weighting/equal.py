"""Equal class weights (None)."""

from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.class_weighting.base import ClassWeighting
from visual_taxonomy.effective_number import effective_number_weights


@dataclass(frozen=True)
class Equal(ClassWeighting):
    """The same weight for every class, at every epoch.

        weight[c] = 1

    Args:
        num_epochs: Epochs of the whole run; not used.

    Example:
        >>> import torch
        >>> Equal(num_epochs=10)(torch.tensor([90, 9, 0]), epoch=0)
        tensor([1., 1., 0.])
    """

    @override
    def __call__(self, class_counts: Tensor, epoch: int) -> Tensor:
        # Not ones: an absent class has weight 0 in every schedule, and the mean is over the others.
        return effective_number_weights(class_counts, beta=0.0)
