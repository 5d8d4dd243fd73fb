"""Class weights from the effective number of examples, and the check of the counts behind them.

Shapes: C classes.
"""

import torch
from torch import Tensor

from visual_taxonomy.errors import InputError


def checked_counts(class_counts: Tensor) -> Tensor:
    """The counts [C] in float64 on the CPU, where every table is computed.

    Args:
        class_counts: [C] training examples of each class; 0 for a class that is absent.

    Raises:
        InputError: Not one finite number >= 0 per class.

    Example:
        >>> checked_counts(torch.tensor([90, 9, 0]))
        tensor([90.,  9.,  0.], dtype=torch.float64)
    """
    # In float64: beta^n of large counts differs from 0 and 1 in digits that float32 does not have.
    counts = torch.as_tensor(class_counts).detach().cpu().double()
    if counts.ndim != 1 or not len(counts):
        raise InputError(f"class counts: expected one per class, got shape {list(counts.shape)}")
    for index, count in enumerate(counts.tolist()):
        if not 0 <= count < float("inf"):
            raise InputError(f"class counts: class {index} has {count}, expected a number >= 0")
    return counts


def checked_beta(beta: float) -> float:
    """The `beta` of `effective_number_weights`, if it is one.

    Raises:
        InputError: It is outside [0, 1].

    Example:
        >>> checked_beta(0.999)
        0.999
    """
    if not isinstance(beta, int | float) or not 0 <= beta <= 1:
        raise InputError(f"beta: {beta!r}, expected a number from 0 to 1")
    return float(beta)


def effective_number_weights(class_counts: Tensor, beta: float) -> Tensor:
    """Weights [C] that fall with the effective number of a class; mean 1 over present classes.

        weight[c] = (1 - beta) / (1 - beta ** count[c]), scaled to mean 1

    `beta` 0 gives equal weights, `beta` 1 its limit, inverse frequency. A class without examples
    gets 0 and does not count for the mean.

    Args:
        class_counts: [C] training examples of each class.
        beta: How much a further example of a class still adds, in [0, 1].

    Returns:
        [C] in float32, on the device of the counts.

    Raises:
        InputError: `beta` is outside [0, 1], or the counts are no counts.

    References:
        Cui et al., CVPR 2019, https://arxiv.org/abs/1901.05555.

    Example:
        >>> effective_number_weights(torch.tensor([90, 9, 1]), beta=0.999)
        tensor([0.0310, 0.2980, 2.6710])
        >>> effective_number_weights(torch.tensor([10, 0, 5]), beta=1.0)
        tensor([0.6667, 0.0000, 1.3333])
    """
    beta = checked_beta(beta)
    counts = checked_counts(class_counts)
    present = counts > 0
    # An absent class has no effective number (0 / 0); `present` makes its weight 0 below.
    floored = counts.clamp(min=1)
    log_beta = torch.tensor(beta, dtype=torch.float64).log()
    # 1 - beta is the same for all classes and cancels; expm1 keeps the digits when beta is near 1
    effective_numbers = floored if beta == 1 else -torch.expm1(floored * log_beta)
    weights = present / effective_numbers
    # Mean 1 over the classes that occur, so that the learning rate means the same as without
    # weights.
    scale = present.sum() / weights.sum() if present.any() else 1.0
    return (weights * scale).to(torch.as_tensor(class_counts).device, torch.float32)
