"""How the losses of many tasks become one update."""

from collections.abc import Sequence

from visual_taxonomy.choice import build
from visual_taxonomy.task_weighting.backward.multi_task import multi_task_backward
from visual_taxonomy.task_weighting.backward.options import BackwardOptions
from visual_taxonomy.task_weighting.base import TaskWeighting
from visual_taxonomy.task_weighting.methods.aligned import AlignedMultiTask
from visual_taxonomy.task_weighting.methods.ca_grad import ConflictAverseGradient
from visual_taxonomy.task_weighting.methods.dual_balancing import DualBalancing
from visual_taxonomy.task_weighting.methods.dynamic_average import DynamicWeightAverage
from visual_taxonomy.task_weighting.methods.equal import EqualWeighting
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

__all__ = [
    "TASK_WEIGHTINGS",
    "BackwardOptions",
    "TaskWeighting",
    "build_task_weighting",
    "multi_task_backward",
]


def build_task_weighting(
    name: str, task_names: Sequence[str], **parameters: object
) -> TaskWeighting:
    """The method of that name for the tasks of a run.

    Args:
        name: Key of `TASK_WEIGHTINGS`, whatever the case; or "torchjd:" and the name of a
            stateless aggregator of TorchJD (extra `torchjd`).
        task_names: [T] names "category/attribute" of all tasks of the run.
        **parameters: The method's own parameters.

    Raises:
        InputError: The method, or a parameter of it, does not exist.

    Example:
        >>> build_task_weighting("uw", ["Sarees/border"], form="classification").kind
        'losses'
    """
    prefix, _, rest = name.partition(":")
    if rest and prefix.casefold() == "torchjd":
        return build_torchjd(rest, task_names, **parameters)
    return build(TASK_WEIGHTINGS, name, task_names, **parameters)
