"""How a trained model runs."""

from dataclasses import dataclass
from typing import Literal

from visual_taxonomy.config.choices import Precision
from visual_taxonomy.config_checks import not_negative, positive
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class InferenceConfig:
    """How a checkpoint or a bundle runs."""

    engine: str = "auto"
    """What runs the model: see `vtax list engines`.
    auto: torch for a checkpoint; for a bundle, the engine it was measured with."""
    batch_size: int | None = None
    """Images per step; None: a size that suits engine and device."""
    workers: int = 2
    """Processes or threads that load images; at most one per core."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bf16 if it is faster on the device, else 32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    decision: Literal["metric", "argmax"] = "metric"
    """How a class is chosen. metric: by the decision that was fitted for HM-F1 and is kept in the
    model, with its calibrated probabilities; argmax: the most probable class, with the raw ones."""
    target_precision: float | None = None
    """Share of right answers, such as 0.95, that each attribute keeps by leaving the less certain
    ones open; None: every row is answered."""
    tta: Literal["auto", "none", "flip"] = "auto"
    """Test-time averaging. flip: mean probabilities of image and mirrored image, at twice the time;
    auto: as the model was validated, which its decision was fitted for."""

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            positive(batch_size=self.batch_size)
        not_negative(workers=self.workers)
        if self.target_precision is not None and not 0 < self.target_precision < 1:
            raise InputError(
                f"`target_precision` must lie between 0 and 1, not {self.target_precision}"
            )
