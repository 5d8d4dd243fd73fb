"""Losses of one attribute: the table of them, and how to build one."""

from torch import Tensor

from visual_taxonomy.losses.asymmetric import Asymmetric
from visual_taxonomy.losses.balanced_softmax import BalancedSoftmax
from visual_taxonomy.losses.base import Loss
from visual_taxonomy.losses.class_balanced_cross_entropy import ClassBalancedCrossEntropy
from visual_taxonomy.losses.class_balanced_focal import ClassBalancedFocal
from visual_taxonomy.losses.class_dependent_temperatures import ClassDependentTemperatures
from visual_taxonomy.losses.cross_entropy import CrossEntropy
from visual_taxonomy.losses.focal import Focal
from visual_taxonomy.losses.generalised_logit_adjustment import GeneralisedLogitAdjustment
from visual_taxonomy.losses.influence_balanced import InfluenceBalanced
from visual_taxonomy.losses.influence_balanced_focal import InfluenceBalancedFocal
from visual_taxonomy.losses.label_distribution_margin import LabelDistributionAwareMargin
from visual_taxonomy.losses.logit_adjustment import LogitAdjustment
from visual_taxonomy.losses.poly1 import Poly1
from visual_taxonomy.losses.vector_scaling import VectorScaling
from visual_taxonomy.registry import Registry, derived_from

__all__ = ["LOSSES", "LOSS_REGISTRY", "Loss", "build_loss", "find_loss"]

LOSSES: dict[str, type[Loss]] = {  # the public short names, as users type them
    # In the order of the help: the original system's first.
    "CE": CrossEntropy,
    "LDAM": LabelDistributionAwareMargin,
    "Focal": Focal,
    "IB": InfluenceBalanced,
    "IBFocal": InfluenceBalancedFocal,
    "CE-CB": ClassBalancedCrossEntropy,
    "F-CB": ClassBalancedFocal,
    "VS": VectorScaling,
    "CDT": ClassDependentTemperatures,
    "LA": LogitAdjustment,
    "BalancedSoftmax": BalancedSoftmax,
    "GLA": GeneralisedLogitAdjustment,
    "ASL": Asymmetric,
    "Poly1": Poly1,
}

# Its table is LOSSES itself, not a copy: an entry added at run time is found.
LOSS_REGISTRY = Registry("loss", "visual_taxonomy.losses", LOSSES, derived_from(Loss))


def find_loss(name: str) -> type[Loss]:
    """The loss of that name.

    Args:
        name: A key of `LOSSES` or the name that an installed package gives its own, matched
            without case; or `module:Class`.

    Raises:
        InputError: There is none, or what the name stands for is no `Loss`.

    Example:
        >>> find_loss("ldam").head
        'cosine'
    """
    return LOSS_REGISTRY.find(name)


def build_loss(name: str, class_counts: Tensor, **parameters: object) -> Loss:
    """The loss of that name for a head with these class counts.

    Args:
        name: As for `find_loss`.
        class_counts: [C] labelled training examples of each class, 0 for absent ones.
        **parameters: The loss's own parameters.

    Raises:
        InputError: The loss or a parameter of it does not exist, or a value is out of range.

    Example:
        >>> import torch
        >>> loss = build_loss("LDAM", torch.tensor([90, 9, 1]), max_margin=0.5)
        >>> loss.margins
        tensor([0.1623, 0.2887, 0.5000])
    """
    return LOSS_REGISTRY.build(name, class_counts, **parameters)
