"""A probe: what a frozen backbone is worth without training it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from visual_taxonomy.config.choices import Precision
from visual_taxonomy.config.data import DataConfig
from visual_taxonomy.config.model import ModelConfig
from visual_taxonomy.config_checks import positive
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class ProbeSettings:
    """What is fitted to the features, and where the outcome goes."""

    save_dir: Path = Path("output")
    """Folder of all runs."""
    run_name: str = "visual_taxonomy_probe"
    """Folder of this run in save_dir."""
    overwrite: bool = False
    """Start again in a folder that holds a run."""
    c: float = 0.01
    """Inverse strength of the L2 penalty of the linear probes, for features with variance 1."""
    neighbours: int = 9
    """Labelled training products that vote on a product."""
    learning_curve: bool = False
    """Fit to 12, 25, 50 and 100 % of the labels too: which attribute gains most from more?"""
    batch_size: int = 64
    """Images per step of the backbone."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bf16 if it is faster on the device, else 32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""

    def __post_init__(self) -> None:
        positive(c=self.c, neighbours=self.neighbours, batch_size=self.batch_size)


@dataclass(frozen=True)
class ProbeConfig:
    """Flags of `vtax probe`: data and model as for a training, and the probe's own."""

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    probe: ProbeSettings = field(default_factory=ProbeSettings)

    def __post_init__(self) -> None:
        if self.data.folds is not None and self.data.fold is None:
            raise InputError(
                f"`folds` {self.data.folds} needs `fold`, the one that the probe is scored on"
            )
        if self.data.final:
            raise InputError("`final`: a probe is scored on validation rows; leave it out")
        if self.data.feature_views:
            raise InputError("`feature_views`: a probe sees each image as it is; leave it out")
        if self.model.tta != "none":
            raise InputError(
                f"`tta={self.model.tta}`: a probe sees each image as it is; leave it out"
            )

    @property
    def frozen_model(self) -> ModelConfig:
        """The model of the checkpoint: nothing of the backbone trains, and heads are linear."""
        return replace(
            self.model,
            freeze_backbone=True,
            batch_norm=False,
            inter_linear=False,
            dropout=0.0,
            drop_path=0.0,
            head="linear",
        )
