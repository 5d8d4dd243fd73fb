"""How the losses of many tasks become one update."""

from collections.abc import Callable, Sequence
from functools import partial

from visual_taxonomy.registry import Registry, derived_from
from visual_taxonomy.task_weighting.backward.multi_task import (
    Gramian,
    Update,
    multi_task_backward,
)
from visual_taxonomy.task_weighting.backward.options import BackwardOptions
from visual_taxonomy.task_weighting.base import (
    FeatureCombination,
    GramianWeighting,
    JacobianCombination,
    LossWeighting,
    TaskWeighting,
)
from visual_taxonomy.task_weighting.methods.aligned import AlignedMultiTask
from visual_taxonomy.task_weighting.methods.ca_grad import ConflictAverseGradient
from visual_taxonomy.task_weighting.methods.dual_balancing import DualBalancing
from visual_taxonomy.task_weighting.methods.dynamic_average import DynamicWeightAverage
from visual_taxonomy.task_weighting.methods.equal import EqualWeighting, PlainSum
from visual_taxonomy.task_weighting.methods.excess import ExcessRisk
from visual_taxonomy.task_weighting.methods.fair import FairGradient
from visual_taxonomy.task_weighting.methods.fast_adaptive import FastAdaptiveOptimization
from visual_taxonomy.task_weighting.methods.geometric import GeometricLoss
from visual_taxonomy.task_weighting.methods.grad_drop import GradientSignDropout
from visual_taxonomy.task_weighting.methods.grad_norm import GradientNormalization
from visual_taxonomy.task_weighting.methods.grad_vac import GradientVaccine
from visual_taxonomy.task_weighting.methods.impartial import ImpartialLearning
from visual_taxonomy.task_weighting.methods.mgda import MultipleGradientDescent
from visual_taxonomy.task_weighting.methods.moco import CorrectedMultiObjective
from visual_taxonomy.task_weighting.methods.modo import DoubleSampling
from visual_taxonomy.task_weighting.methods.nash import NashBargaining
from visual_taxonomy.task_weighting.methods.pc_grad import ProjectConflictingGradients
from visual_taxonomy.task_weighting.methods.random_weights import RandomLossWeighting
from visual_taxonomy.task_weighting.methods.sdm_grad import DirectionOriented
from visual_taxonomy.task_weighting.methods.tchebycheff import SmoothTchebycheff
from visual_taxonomy.task_weighting.methods.torchjd_adapter import build_torchjd
from visual_taxonomy.task_weighting.methods.uncertainty import UncertaintyWeighting
from visual_taxonomy.task_weighting.methods.up_grad import UnconflictingProjection

TASK_WEIGHTINGS: dict[str, type[TaskWeighting]] = {  # the public short names, as users type them
    "EW": EqualWeighting,
    "GradNorm": GradientNormalization,
    "UW": UncertaintyWeighting,
    "MGDA": MultipleGradientDescent,
    "DWA": DynamicWeightAverage,
    "GLS": GeometricLoss,
    "PCGrad": ProjectConflictingGradients,
    "GradDrop": GradientSignDropout,
    "IMTL": ImpartialLearning,
    "GradVac": GradientVaccine,
    "CAGrad": ConflictAverseGradient,
    "Nash_MTL": NashBargaining,
    "RLW": RandomLossWeighting,
    "MoCo": CorrectedMultiObjective,
    "Aligned_MTL": AlignedMultiTask,
    "STCH": SmoothTchebycheff,
    "ExcessMTL": ExcessRisk,
    "FairGrad": FairGradient,
    "DB_MTL": DualBalancing,
    "UPGrad": UnconflictingProjection,
    "FAMO": FastAdaptiveOptimization,
    "SDMGrad": DirectionOriented,
    "MoDo": DoubleSampling,
}

METHOD_REGISTRY = Registry(
    "method",
    "visual_taxonomy.task_weightings",
    {**TASK_WEIGHTINGS, "none": PlainSum},
    # Not TaskWeighting: the backward pass must know which of the four kinds a method is.
    derived_from(LossWeighting, GramianWeighting, JacobianCombination, FeatureCombination),
)

__all__ = [
    "METHOD_REGISTRY",
    "TASK_WEIGHTINGS",
    "BackwardOptions",
    "Gramian",
    "TaskWeighting",
    "Update",
    "build_task_weighting",
    "find_task_weighting",
    "multi_task_backward",
]


def find_task_weighting(name: str) -> Callable[..., TaskWeighting]:
    """What builds the method of that name from the task names and its own parameters.

    Args:
        name: Key of `TASK_WEIGHTINGS` or the name that an installed package gives its own,
            whatever the case; "none", the plain sum; "torchjd:" and the name of a stateless
            aggregator of TorchJD (extra `torchjd`); or `module:Class`.

    Raises:
        InputError: The method does not exist, or what the name stands for is none.

    Example:
        >>> find_task_weighting("none").__name__
        'PlainSum'
    """
    prefix, _, rest = name.partition(":")
    if rest and prefix.casefold() == "torchjd":
        return partial(build_torchjd, rest)
    return METHOD_REGISTRY.find(name)


def build_task_weighting(
    name: str, task_names: Sequence[str], **parameters: object
) -> TaskWeighting:
    """The method of that name for the tasks of a run.

    Args:
        name: As for `find_task_weighting`.
        task_names: [T] names "category/attribute" of all tasks of the run.
        **parameters: The method's own parameters.

    Raises:
        InputError: The method, or a parameter of it, does not exist.

    Example:
        >>> build_task_weighting("uw", ["Sarees/border"], form="classification").kind
        'losses'
    """
    entry = find_task_weighting(name)
    if isinstance(entry, partial):  # TorchJD's, which checks its parameters itself
        return entry(task_names, **parameters)
    return METHOD_REGISTRY.build(name, task_names, **parameters)
