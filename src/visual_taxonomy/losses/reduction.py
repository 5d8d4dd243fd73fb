"""Likelihoods and means over the entries of a batch, for hard and soft targets alike.

Shapes: N entries, C classes. A target is [N] class indices or [N, C] probabilities. With class
weights w, the weighted mean divides the sum of w[target] * loss by the sum of w[target], the
plain mean by N.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Floor of a sum of weights: entries of weight 0 alone give loss 0, not NaN.
LEAST_WEIGHT = 1e-30


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in its own type where that is wider.

    Example:
        >>> widened(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    # bfloat16 has three digits: log p of a sure prediction would be 0, and its gradient gone.
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def negative_log_likelihood(logits: Tensor, target: Tensor) -> Tensor:
    """-log p of the target class [N]; of every class [N, C] where the target is soft.

    Example:
        >>> negative_log_likelihood(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
    """
    if target.is_floating_point():
        # A soft target needs all classes; for indices the fused kernel saves an [N, C] tensor.
        return -F.log_softmax(logits, dim=-1)
    return F.cross_entropy(logits, target, reduction="none")


def plain_mean(losses: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    """The sum of class weight times loss, over N.

    Args:
        losses: [N] losses of the target class, or [N, C] of every class for a soft target.
        target: [N] indices or [N, C] probabilities.
        class_weights: [C], or None for equal weights.

    Example:
        >>> plain_mean(torch.tensor([1.0, 2.0]), torch.tensor([0, 1]), torch.tensor([3.0, 1.0]))
        tensor(2.5000)
    """
    if class_weights is None and not target.is_floating_point():
        return losses.mean()  # the same number in fewer operations
    return (entry_weights(target, class_weights) * losses).sum() / len(target)


def weighted_mean(losses: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    """The sum of class weight times loss, over the sum of class weights.

    Args and shapes as in `plain_mean`, which it is where there are no class weights.

    Example:
        >>> weighted_mean(torch.tensor([1.0, 2.0]), torch.tensor([0, 1]), torch.tensor([3.0, 1.0]))
        tensor(1.2500)
    """
    if class_weights is None:
        return plain_mean(losses, target, None)
    weights = entry_weights(target, class_weights)
    return (weights * losses).sum() / weights.sum().clamp_min(LEAST_WEIGHT)


def summed_cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor, smoothing: float = 0.0
) -> Tensor:
    """The sum of class weight times cross-entropy, in one fused call.

    Example:
        >>> summed_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([2.0, 1.0]))
        tensor(1.3863)
    """
    # `widened` may have changed the logits; torch wants both in one type.
    if target.is_floating_point():
        target = target.to(logits.dtype)
    weights = class_weights.to(logits.dtype)
    return F.cross_entropy(logits, target, weights, reduction="sum", label_smoothing=smoothing)


def mean_cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None, smoothing: float = 0.0
) -> Tensor:
    """The weighted mean of cross-entropy, as `torch.nn.CrossEntropyLoss` has it for indices.

    For soft targets the sum of weights is that of `target * class_weights`, so that one-hot rows
    equal indices (torch divides by N there).

    Example:
        >>> mean_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([2.0, 1.0]))
        tensor(0.6931)
    """
    if class_weights is None:
        if target.is_floating_point():
            target = target.to(logits.dtype)
        return F.cross_entropy(logits, target, label_smoothing=smoothing)
    # torch's own weighted mean divides soft targets by N and indices by the weights; one of the two
    # would make a one-hot row another loss than its index.
    total = summed_cross_entropy(logits, target, class_weights, smoothing)
    return total / entry_weights(target, class_weights).sum().clamp_min(LEAST_WEIGHT)


def entry_weights(target: Tensor, class_weights: Tensor | None) -> Tensor:
    """The weight of each target: [N] for indices, [N, C] for soft targets.

    Example:
        >>> entry_weights(torch.tensor([1, 1, 0]), torch.tensor([3.0, 1.0]))
        tensor([1., 1., 3.])
    """
    if class_weights is None:
        return target if target.is_floating_point() else torch.ones_like(target)
    if target.is_floating_point():
        return target * class_weights
    return class_weights.index_select(0, target)
