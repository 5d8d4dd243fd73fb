"""What is minimised."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from visual_taxonomy.config.choices import Parameters
from visual_taxonomy.config_checks import below_one, not_negative, positive
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: loss, class weights, task weights."""

    loss_type: str = "CE"
    """CE, LDAM, Focal, IB, IBFocal, CE-CB, F-CB, VS, CDT, LA, ...: see `vtax list losses`."""
    loss_parameters: Parameters = field(default_factory=dict)
    """Parameters of the loss, as NAME VALUE pairs: max_margin 0.5 scale 30."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes of its attribute, as in torch; 0 is off.
    For losses that are cross-entropies (CE, LA, VS, ...); 0.05 to 0.1 is usual."""
    teacher: tuple[Path, ...] = ()
    """Checkpoints whose probabilities are learnt beside the labels, also where these are missing;
    several are averaged. Or held_out.npz of `vtax cross-validate`, for the rows in it."""
    teacher_share: float = 0.5
    """Share of the teacher in the loss, above 0; the labels have the rest."""
    teacher_temperature: float = 1.0
    """Temperature of teacher and student where they are compared; above 1 softens both."""
    train_rule: str = "None"
    """Class-weighting schedule: None, DRW, CBReweight, IBReweight: see `vtax list schedules`."""
    train_rule_parameters: Parameters = field(default_factory=dict)
    """Parameters of the schedule, as NAME VALUE pairs: onset 0.8."""
    beta: float | None = None
    """Beta of the effective number of samples (CE-CB, F-CB, DRW, CBReweight); None: 0.9999."""
    drw_start_epoch: int | None = None
    """First epoch (from 0) in which DRW re-weights; None: after 0.8 of the epochs."""
    ib_start_epoch: int | None = None
    """First epoch (from 0) of IB and IBFocal, with CE before it; None: half of the epochs."""
    method: str = "none"
    """Task-weighting method: EW, UW, PCGrad, ...: see `vtax list methods`.
    EW and none both sum the losses; if one is not finite, EW skips its task, none stops."""
    method_parameters: Parameters = field(default_factory=dict)
    """Parameters of the method, as NAME VALUE pairs."""
    gradient_source: Literal["auto", "parameters", "features", "last_layer"] = "auto"
    """Gradients that a Gramian method computes its weights from.
    parameters: exact; features, last_layer: of those only, in one backward pass."""
    update_weights_every: int = 1
    """Steps between two updates of the weights of a Gramian method."""
    head_scale: Literal["auto", "unit", "weights"] = "auto"
    """Factor on the gradients of the heads: 1 (unit) or the weight of the task."""
    normalize_direction: Literal["none", "sum", "mean"] = "none"
    """Rescale the shared update to the norm of the sum or the mean of the task gradients."""
    row_budget_mb: int | None = None
    """Memory limit for the task gradients in megabytes; above it, they take a second pass."""
    row_dtype: Literal["float32", "bf16"] = "float32"
    """Type of the stored task gradients; bf16 takes half the memory and keeps three digits."""
    method_lr: float = 1e-3
    """Constant learning rate of learnt task weights (UW, GradNorm, IMTL)."""

    def __post_init__(self) -> None:
        if self.beta is not None and not 0 <= self.beta <= 1:
            raise InputError(f"`beta` must lie in [0, 1], not {self.beta}")
        below_one(label_smoothing=self.label_smoothing)
        self._check_teacher()
        not_negative(method_lr=self.method_lr)
        positive(update_weights_every=self.update_weights_every)
        if self.row_budget_mb is not None:
            positive(row_budget_mb=self.row_budget_mb)
        if self.drw_start_epoch is not None:
            not_negative(drw_start_epoch=self.drw_start_epoch)
        if self.ib_start_epoch is not None:
            not_negative(ib_start_epoch=self.ib_start_epoch)

    def _check_teacher(self) -> None:
        if not 0 < self.teacher_share <= 1:
            raise InputError(f"`teacher_share` must lie in (0, 1], not {self.teacher_share}")
        positive(teacher_temperature=self.teacher_temperature)
        for name in ("teacher_share", "teacher_temperature"):
            value = getattr(self, name)
            if value != getattr(type(self), name) and not self.teacher:
                raise InputError(
                    f"`{name}` {value} needs `teacher`, whose probabilities are learnt"
                )
