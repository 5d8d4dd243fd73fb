"""Effective-number class weights (CBReweight)."""

from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.class_weighting.base import ClassWeighting
from visual_taxonomy.effective_number import checked_beta, effective_number_weights


@dataclass(frozen=True)
class ClassBalanced(ClassWeighting):
    """Weights by the inverse effective number of examples, at every epoch.

        weight[c] = (1 - beta) / (1 - beta ** counts[c]), scaled to mean 1 over present classes

    Args:
        num_epochs: Epochs of the whole run; not used.
        beta: In [0, 1]; 0 gives equal weights, 1 inverse frequency.

    Raises:
        InputError: `beta` is outside its range.

    References:
        Cui et al., CVPR 2019, https://arxiv.org/abs/1901.05555.

    Example:
        >>> import torch
        >>> ClassBalanced(num_epochs=10, beta=0.999)(torch.tensor([90, 9, 1]), epoch=0)
        tensor([0.0310, 0.2980, 2.6710])
    """

    beta: float = 0.9999

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        # Here, not at the first epoch: a wrong value is said before images and weights are read.
        checked_beta(self.beta)

    @override
    def __call__(self, class_counts: Tensor, epoch: int) -> Tensor:
        return effective_number_weights(class_counts, self.beta)
