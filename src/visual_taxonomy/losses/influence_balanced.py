"""Influence-balanced loss (IB)."""

from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.losses.base import Loss, checked
from visual_taxonomy.losses.focal import doubt
from visual_taxonomy.losses.reduction import negative_log_likelihood, plain_mean, widened


class InfluenceBalanced(Loss):
    """Cross-entropy divided by the influence of each entry on the head.

        loss = -log p * factor,  p = softmax(logits)[target]
        factor = alpha / (|softmax(logits) - onehot(target)| * |features| + epsilon)

    Both norms are sums of absolute values; the first is 2 (1 - p), and their product the size of
    the gradient of the head's weights. Plain mean: class weights multiply the losses, the sum is
    divided by N. It is the second of two phases: until about half of the run train with `warm_up`
    without class weights (100 of 200 epochs in the paper), then with this, under `IBReweight`.

    Args:
        class_counts: [C] training examples of each class; not used.
        alpha: Numerator of the factor, > 0.
        epsilon: Summand of the denominator, > 0; the factor is alpha / epsilon at most.
        max_factor: Upper bound of the factor, > 0. None leaves alpha / epsilon (1e6), which an
            entry with features all 0 reaches.
        detach_factor: Whether the factor is a constant to the gradient, as a weight is. False
            reproduces the published code, where the loss also falls by growing |features|.

    Raises:
        InputError: A parameter is outside its range; on a call: no features, or a soft target,
            for which influence is not defined.

    References:
        Park et al., ICCV 2021, https://arxiv.org/abs/2110.02444;
        pseulki/IB-Loss, losses.py and cifar_train.py.

    Example:
        >>> import torch
        >>> loss = InfluenceBalanced(torch.tensor([9, 1]), alpha=1.0, epsilon=1e-3)
        >>> features = torch.tensor([[1.0, -1.0]])
        >>> loss(torch.zeros(1, 2), torch.tensor([0]), features=features)  # log 2 / (1 * 2 + 1e-3)
        tensor(0.3464)
    """

    needs_features = True
    soft_targets = False
    warm_up = "CE"
    weight_reduction = "plain"

    def __init__(
        self,
        class_counts: Tensor,
        alpha: float = 1000.0,
        epsilon: float = 1e-3,
        max_factor: float | None = None,
        detach_factor: bool = True,
    ) -> None:
        super().__init__()
        self.alpha = checked("alpha", alpha, low=0, low_included=False)
        self.epsilon = checked("epsilon", epsilon, low=0, low_included=False)
        if max_factor is not None:
            max_factor = checked("max_factor", max_factor, low=0, low_included=False)
        self.max_factor = max_factor
        self.detach_factor = detach_factor

    @override
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        # Refused, not averaged: a mixture of labels has no gradient whose size could be the
        # influence.
        if target.is_floating_point():
            raise InputError(
                "influence is defined for class indices only: turn mixup or distillation off, or "
                "choose a loss other than IB and IBFocal"
            )
        if features is None:
            raise InputError("IB and IBFocal need features, the input of the head")
        likelihood = negative_log_likelihood(widened(logits), target)
        losses = self._factors(likelihood, features) * self._modulated(likelihood)
        return plain_mean(losses, target, class_weights)

    def _factors(self, likelihood: Tensor, features: Tensor) -> Tensor:
        # Detached, since a weight is no path for gradients: else the loss also falls by growing
        # features.
        if self.detach_factor:
            likelihood, features = likelihood.detach(), features.detach()
        norms = widened(features).abs().sum(dim=-1)  # four times as fast as vector_norm on a CPU
        # 2 (1 - p) is the L1 norm of p - y, the gradient by the logits. Without epsilon, a certain
        # entry (p = 1) would divide by 0.
        factors = self.alpha / (2 * doubt(likelihood) * norms + self.epsilon)
        return factors if self.max_factor is None else factors.clamp_max(self.max_factor)

    def _modulated(self, likelihood: Tensor) -> Tensor:
        return likelihood
