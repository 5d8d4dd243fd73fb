"""The settings of a run: frozen dataclasses that are the flags, the TOML file and the record.

The command line makes its flags from these classes (the text under a field is its help), a TOML
file gives defaults under the same names, and the run folder keeps the settings of its run.
"""

from dataclasses import dataclass, field

from visual_taxonomy.config.choices import OutputFormat, Parameters, Precision
from visual_taxonomy.config.data import DataConfig
from visual_taxonomy.config.inference import InferenceConfig
from visual_taxonomy.config.model import ModelConfig
from visual_taxonomy.config.objective import ObjectiveConfig
from visual_taxonomy.config.optimizer import OptimizerConfig
from visual_taxonomy.config.run import RunConfig
from visual_taxonomy.errors import InputError

__all__ = [
    "DataConfig",
    "InferenceConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "OutputFormat",
    "Parameters",
    "Precision",
    "RunConfig",
    "TrainConfig",
]


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.data.feature_cache is not None and not self.model.freeze_backbone:
            raise InputError(
                "`feature_cache` needs `freeze_backbone`: the features of a backbone that trains "
                "change in every step"
            )
        if self.data.feature_cache is not None and self.model.tta != "none":
            raise InputError(
                f"`tta={self.model.tta}` needs images, and `feature_cache` holds features of each "
                "as it is; leave one of them out"
            )
        self._check_mixing()
        if self.optimizer.probe_first and self.model.freeze_backbone:
            raise InputError(
                f"`probe_first` {self.optimizer.probe_first} trains the backbone later, and "
                "`freeze_backbone` never; leave one of them out"
            )
        if self.data.feature_views and self.data.feature_cache is None:
            raise InputError("`feature_views` needs `feature_cache`, the folder that keeps them")
        is_plain = self.data.randaugment is None and not self.data.random_erasing
        if self.data.feature_views and self.data.augmentation == "none" and is_plain:
            raise InputError("`feature_views` with `augmentation=none` would all be the same")

    def _check_mixing(self) -> None:
        for name in ("mixup", "cutmix"):
            if getattr(self.data, name) and self.data.feature_cache is not None:
                raise InputError(
                    f"`{name}` mixes images, and `feature_cache` holds features of each as it is; "
                    "leave one of them out"
                )
