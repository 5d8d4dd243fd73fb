"""Tables that losses derive from class counts: float32, on the device of the counts.

Shapes: C classes. Everything is computed in float64 on the CPU. A class without examples gets
margin 0; where a logarithm or a ratio is taken its count is floored at 1, so tables are finite.
"""

import torch
from torch import Tensor

from visual_taxonomy.effective_number import checked_counts


def log_prior(class_counts: Tensor) -> Tensor:
    """log(count / sum of counts) [C], counts floored at 1.

    Example:
        >>> log_prior(torch.tensor([10, 0, 5]))
        tensor([-0.4700, -2.7726, -1.1632])
    """
    counts = checked_counts(class_counts).clamp(min=1)
    return _stored(torch.log(counts / counts.sum()), class_counts)


def temperatures(class_counts: Tensor, gamma: float) -> Tensor:
    """(count / largest count) ** gamma [C], counts floored at 1.

    Example:
        >>> temperatures(torch.tensor([10, 0, 5]), gamma=0.3)
        tensor([1.0000, 0.5012, 0.8123])
    """
    counts = checked_counts(class_counts).clamp(min=1)
    return _stored((counts / counts.max()) ** gamma, class_counts)


def margins(class_counts: Tensor, max_margin: float) -> Tensor:
    """max_margin * (smallest count / count) ** (1/4) [C] over present classes; 0 for absent ones.

    Example:
        >>> margins(torch.tensor([10, 0, 5]), max_margin=0.5)
        tensor([0.4204, 0.0000, 0.5000])
    """
    counts = checked_counts(class_counts)
    present = counts > 0
    smallest = counts[present].min() if present.any() else counts.new_ones(())
    ratios = smallest / counts.where(present, smallest)  # 1 for absent classes, not a division by 0
    return _stored(present * max_margin * ratios**0.25, class_counts)


def _stored(table: Tensor, class_counts: Tensor) -> Tensor:
    # Made in float64 and rounded once, at the end.
    return table.to(torch.as_tensor(class_counts).device, torch.float32)
