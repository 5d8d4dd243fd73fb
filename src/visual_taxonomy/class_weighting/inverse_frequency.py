"""Inverse-frequency class weights (IBReweight)."""

from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.class_weighting.base import ClassWeighting
from visual_taxonomy.effective_number import effective_number_weights


@dataclass(frozen=True)
class InverseFrequency(ClassWeighting):
    """Weights by the inverse number of examples, at every epoch.

        weight[c] = 1 / counts[c], scaled to mean 1 over present classes

    The class weights of the influence-balanced loss: with `IB` or `IBFocal` the two together are
    that paper's method, with any other loss this is plain inverse-frequency weighting. The
    paper's further factor alpha is the loss's.

    Args:
        num_epochs: Epochs of the whole run; not used.

    References:
        Park et al., ICCV 2021, https://arxiv.org/abs/2110.02444;
        pseulki/IB-Loss, cifar_train.py.

    Example:
        >>> import torch
        >>> InverseFrequency(num_epochs=10)(torch.tensor([90, 9, 1]), epoch=0)
        tensor([0.0297, 0.2970, 2.6733])
    """

    @override
    def __call__(self, class_counts: Tensor, epoch: int) -> Tensor:
        return effective_number_weights(class_counts, beta=1.0)
