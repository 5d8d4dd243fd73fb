"""From a catalogue CSV with holes to calibrated, deployable attribute predictions.

The names below are the front door: everything else may change between versions. Each is imported
when it is first asked for, so `import visual_taxonomy` is instant, and what needs no torch (a
`Predictor` of a bundle, a `Taxonomy`, the configs) works where there is none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from visual_taxonomy.version import __version__

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint
    from visual_taxonomy.class_weighting import ClassWeighting, build_class_weighting
    from visual_taxonomy.config import (
        DataConfig,
        InferenceConfig,
        ModelConfig,
        ObjectiveConfig,
        OptimizerConfig,
        RunConfig,
        TrainConfig,
    )
    from visual_taxonomy.errors import InputError
    from visual_taxonomy.evaluation import evaluate
    from visual_taxonomy.inference.prediction import Prediction, Predictor
    from visual_taxonomy.losses import Loss, build_loss
    from visual_taxonomy.task_weighting import (
        BackwardOptions,
        TaskWeighting,
        build_task_weighting,
        multi_task_backward,
    )
    from visual_taxonomy.taxonomy import Taxonomy
    from visual_taxonomy.training.train import train

__all__ = [
    "BackwardOptions",
    "Checkpoint",
    "ClassWeighting",
    "DataConfig",
    "InferenceConfig",
    "InputError",
    "Loss",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "Prediction",
    "Predictor",
    "RunConfig",
    "TaskWeighting",
    "Taxonomy",
    "TrainConfig",
    "__version__",
    "build_class_weighting",
    "build_loss",
    "build_task_weighting",
    "evaluate",
    "multi_task_backward",
    "read_checkpoint",
    "train",
]

# Module below this package -> the public names it defines.
_HOMES = {
    "checkpoint": ("Checkpoint", "read_checkpoint"),
    "class_weighting": ("ClassWeighting", "build_class_weighting"),
    "config": (
        *("DataConfig", "InferenceConfig", "ModelConfig", "ObjectiveConfig"),
        *("OptimizerConfig", "RunConfig", "TrainConfig"),
    ),
    "errors": ("InputError",),
    "evaluation": ("evaluate",),
    "inference.prediction": ("Prediction", "Predictor"),
    "losses": ("Loss", "build_loss"),
    "task_weighting": (
        *("BackwardOptions", "TaskWeighting", "build_task_weighting", "multi_task_backward"),
    ),
    "taxonomy": ("Taxonomy",),
    "training.train": ("train",),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
