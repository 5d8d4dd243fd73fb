"""Gradient sign dropout."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import FeatureCombination


def sign_masks(signed_sums: Tensor, uniform: Tensor) -> Tensor:
    """[A, D] 1 where a task's gradient has the sign drawn for the feature, else 0.

        probability of plus = (1 + sum of s / sum of |s|) / 2

    A sum of exactly 0 has no sign to disagree with, so its gradient passes (published code drops
    what may be left of it in the single images).

    Args:
        signed_sums: [A, D] s, sums over the images of sign(feature) x gradient.
        uniform: [D] numbers from [0, 1); plus is kept where the probability exceeds them.

    Example:
        >>> sign_masks(torch.tensor([[0.6, 0.1], [-0.2, 0.5]]), torch.tensor([0.5, 0.5]))
        tensor([[1., 1.],
                [0., 1.]])
    """
    total = signed_sums.abs().sum(0)
    # Where no gradient reaches a feature, the floor keeps 0 / 0 out of the branch not taken.
    share = torch.where(total > 0, signed_sums.sum(0) / total.clamp_min(1e-38), 0.0)
    probability = (1 + share) / 2
    plus = (probability > uniform) & (signed_sums > 0)
    minus = (probability < uniform) & (signed_sums < 0)
    return (plus | minus | (signed_sums == 0)).to(signed_sums)


class GradientSignDropout(FeatureCombination):
    """For each feature one sign is drawn, and only gradients of that sign pass into the backbone.

    The more the tasks agree on a sign, the likelier it is. Neck and heads get the plain sum.

    Args:
        task_names: [T] names of all tasks.
        leak: Share of every gradient that passes anyway, in [0, 1]; 1 is equal weighting.

    Raises:
        InputError: The leak is out of its range.

    References:
        Chen et al., "Just Pick a Sign", NeurIPS 2020, https://arxiv.org/abs/2010.06808.

    Example:
        >>> method = GradientSignDropout(["c/a", "c/b"], leak=0.2)
        >>> method(torch.tensor([[0.6], [0.3]]), [0, 1])  # they agree: all passes
        tensor([[1.],
                [1.]])
    """

    def __init__(self, task_names: Sequence[str], leak: float = 0.0) -> None:
        super().__init__(task_names)
        if not 0 <= leak <= 1:
            raise InputError(f"GradDrop: leak must be in [0, 1], not {leak}")
        self.leak = leak

    @override
    def forward(
        self, signed_sums: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        uniform = torch.rand(signed_sums.shape[1:], generator=generator).to(signed_sums)
        return self.leak + (1 - self.leak) * sign_masks(signed_sums, uniform)
