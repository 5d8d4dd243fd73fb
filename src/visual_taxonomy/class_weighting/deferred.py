"""Deferred re-weighting (DRW)."""

import math
import warnings
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.class_weighting.class_balanced import ClassBalanced
from visual_taxonomy.effective_number import effective_number_weights
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class Deferred(ClassBalanced):
    """Equal weights first, effective-number weights from the onset on.

        weight[c] = 1                                         before `start_epoch`
        weight[c] = (1 - beta) / (1 - beta ** counts[c])      from it on, scaled to mean 1

    The weights change once. In the paper that happens when the learning rate drops.

    Args:
        num_epochs: Epochs of the whole run.
        beta: In [0, 1]; 0 gives equal weights, 1 inverse frequency.
        onset: Below 1 the share of the run that comes first, in [0, 1) (the paper's is 160 of 200
            epochs, 0.8); otherwise the first re-weighted epoch, a whole number, epochs from 0.

    Raises:
        InputError: A parameter is outside its range.

    References:
        Cao et al., NeurIPS 2019, https://arxiv.org/abs/1906.07413;
        kaidic/LDAM-DRW, cifar_train.py.

    Example:
        >>> import torch
        >>> weights = Deferred(num_epochs=200)
        >>> weights.start_epoch
        160
        >>> weights(torch.tensor([90, 9, 1]), epoch=159)
        tensor([1., 1., 1.])
        >>> weights(torch.tensor([90, 9, 1]), epoch=160)
        tensor([0.0298, 0.2971, 2.6730])
    """

    onset: float = 0.8

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        # NaN fails the comparison, too.
        if not isinstance(self.onset, int | float) or not 0 <= self.onset < math.inf:
            raise InputError(f"onset: {self.onset!r}, expected a fraction of the run or an epoch")
        if self.onset > 1 and self.onset != int(self.onset):
            raise InputError(f"onset: {self.onset}, expected a fraction below 1 or a whole epoch")
        if self.start_epoch >= self.num_epochs:
            warnings.warn(
                f"DRW starts at epoch {self.start_epoch} of a run of {self.num_epochs}, so it "
                "will never be active; lower the onset",
                # Past this method and the __init__ that the dataclass has: the caller's line.
                stacklevel=3,
            )

    @property
    def start_epoch(self) -> int:
        """The first epoch that is re-weighted, from 0."""
        if self.onset >= 1:
            return int(self.onset)
        # 0.29 * 100 is 28.999...: without the sum the phase would start an epoch early.
        return math.floor(self.onset * self.num_epochs + 1e-9)

    @override
    def __call__(self, class_counts: Tensor, epoch: int) -> Tensor:
        # beta 0 is equal weights in the same formula, so absent classes are 0 in both phases.
        beta = self.beta if epoch >= self.start_epoch else 0.0
        return effective_number_weights(class_counts, beta)
