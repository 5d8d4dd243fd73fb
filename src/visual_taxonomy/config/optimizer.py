"""How it is minimised."""

from dataclasses import dataclass

from visual_taxonomy.config_checks import below_one, not_negative, positive
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class OptimizerConfig:
    """How the objective is minimised."""

    epochs: int = 50
    """Passes over the training rows."""
    probe_first: int = 0
    """Train only the heads in this many of the epochs, the first ones, which are faster; then all
    that is not frozen. Both phases have a learning-rate schedule of their own. 0 is off."""
    batch_size: int = 256
    """Images per step, over all devices together."""
    patience: int = 10
    """Stop after this many epochs without a better validation loss or F1."""
    pretrained_lr: float = 1e-5
    """Learning rate of the trained layers of the backbone."""
    pretrained_weight_decay: float = 1e-4
    """Weight decay of the trained layers of the backbone."""
    scratch_lr: float = 1e-4
    """Learning rate of the heads and other new layers."""
    scratch_weight_decay: float = 1e-4
    """Weight decay of the heads and other new layers."""
    clip_norm: float = 1.0
    """Maximum norm of the gradient; longer ones are clipped."""
    warm_up: float = 0.1
    """Learning-rate warm-up, as a fraction of all steps; a cosine decay follows."""
    layer_decay: float = 1.0
    """Factor on the learning rate of the backbone from each layer to the one before it; 1 is off,
    0.65 to 0.9 is usual for vision transformers."""
    ema_decay: float = 0.0
    """Validate and save (best_*.pt) an exponential moving average of the weights, which keeps this
    share of itself at each step, less in the first ones; 0 is off, 0.99 to 0.9999 is usual."""

    def __post_init__(self) -> None:
        names = ("epochs", "batch_size", "patience", "clip_norm")
        positive(**{name: getattr(self, name) for name in names})
        rates = ("pretrained_lr", "scratch_lr", "pretrained_weight_decay", "scratch_weight_decay")
        not_negative(**{name: getattr(self, name) for name in rates})
        if not 0 <= self.probe_first < self.epochs:
            raise InputError(
                f"`probe_first` must lie in [0, `epochs` {self.epochs}), so that an epoch is left "
                f"for the backbone, not {self.probe_first}"
            )
        below_one(ema_decay=self.ema_decay)
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"`layer_decay` must lie in (0, 1], not {self.layer_decay}")
        if not 0 <= self.warm_up <= 1:
            raise InputError(f"`warm_up` must lie in [0, 1], not {self.warm_up}")
