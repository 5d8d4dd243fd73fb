"""The settings of a run: frozen dataclasses that are the flags, the TOML file and the record.

The command line makes its flags from these classes (the text under a field is its help), a TOML
file gives defaults under the same names, and the run folder keeps the settings of its run.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.config_checks import below_one, not_negative, positive
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import MISSING_VALUES
from visual_taxonomy.typed_values import LARGEST

Parameters = dict[str, int | float | bool | str]
Precision = Literal["auto", "32", "bf16", "16"]
OutputFormat = Literal["csv", "long-csv", "parquet", "jsonl"]


@dataclass(frozen=True)
class DataConfig(CatalogueConfig):
    """Images, labels and how they become batches."""

    img_dir: Path
    """Folder of the images, named by id: `000123.jpg` or `123.png` for id 123."""
    csv_path: Path
    """Labelled CSV (or Parquet): id, Category, len, attr_1 ... attr_10.
    Empty cells mean unknown, and so do NA, N/A, NaN, None, null, ... (--missing_values)."""
    attributes_config: Path | None = None
    """Taxonomy {category: {attribute: [classes]}}; by default it is built from the CSV."""
    parq_path: Path | None = None
    """Parquet with the attribute names of each category, for a taxonomy built from the CSV."""
    val_ratio: float = 0.2
    """Fraction of the rows used for validation."""
    test_ratio: float = 0.0
    """Fraction of the rows held out for a final test; they choose no checkpoint."""
    random_state: int = 42
    """Seed of batch order, augmentation and initial weights."""
    split_seed: int | None = None
    """Seed of the split; None: the value of --random_state."""
    split_path: Path | None = None
    """split.csv (id, split) of an earlier run, to reuse its split."""
    folds: int | None = None
    """Cut the rows into this many folds and validate on one of them, instead of --val_ratio.
    `vtax train` takes --fold; `vtax cross-validate` takes each in turn (None: 5)."""
    final: bool = False
    """Train on all rows, none for validation, for all --epochs, and keep the last: final.pt."""
    decision_from: Path | None = None
    """held_out.npz of `vtax cross-validate`, which the decision of final.pt is fitted on."""
    fold: int | None = None
    """The fold of --folds that `vtax train` validates on, from 0."""
    val_csv_path: Path | None = None
    """Labelled file with the validation rows, instead of a fraction of --csv_path."""
    test_csv_path: Path | None = None
    """Labelled file with the test rows, instead of --test_ratio."""
    group_duplicates: bool = True
    """Keep near-duplicate images in the same part of the split."""
    batch_sampling: Literal["mixed", "sequential", "joint"] = "mixed"
    """mixed, sequential: one category per batch, taking turns or one after another.
    joint: batches mix the categories."""
    feature_cache: Path | None = None
    """Folder that keeps the features of a frozen backbone (--freeze_backbone), computed once."""
    feature_views: int = 0
    """Augmented views of each training image in the feature cache; 0: the image unchanged."""
    augmentation: Literal["standard", "light", "none"] = "standard"
    """Random changes of training images. standard: crop, mirror, rotation, perspective;
    light: mirror, and a shift of up to 6 % of each side."""
    train_workers: int = 5
    """Processes that load training images; at most one per core."""
    val_workers: int = 2
    """Processes that load validation images; at most one per core."""
    image_cache: Path | None = None
    """Folder that keeps decoded images for later epochs and runs; ram keeps them in memory."""
    missing_values: tuple[str, ...] = MISSING_VALUES
    """Cell texts that mean an unknown label (case-sensitive); empty cells always do."""
    attribute_columns: tuple[str, ...] | None = None
    """Columns that hold labels; None: attr_1, attr_2, ..., or else all but free text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.val_ratio < 1:
            raise InputError(f"`val_ratio` must lie between 0 and 1, not {self.val_ratio}")
        if not 0 <= self.test_ratio < 1 - self.val_ratio:
            raise InputError(
                f"`test_ratio` must be 0 or more and leave rows to train on beside `val_ratio` "
                f"{self.val_ratio}, not {self.test_ratio}"
            )
        self._check_sources()
        if self.decision_from is not None and not self.final:
            raise InputError("`decision_from` is for `final`; other runs fit on their own rows")
        names = ("train_workers", "val_workers", "random_state", "feature_views")
        not_negative(**{name: getattr(self, name) for name in names})
        if self.random_state > LARGEST:
            raise InputError(f"`random_state` must be at most {LARGEST}, not {self.random_state}")
        if self.split_seed is not None:
            not_negative(split_seed=self.split_seed)
        self._check_folds()

    def _check_folds(self) -> None:
        if self.fold is not None and self.folds is None:
            raise InputError(f"`fold` {self.fold} needs `folds`, the number of folds")
        if self.folds is None:
            return
        if self.folds < 2:
            raise InputError(f"`folds` must be 2 or more, not {self.folds}")
        if self.fold is not None and not 0 <= self.fold < self.folds:
            raise InputError(
                f"`fold` must be one of 0 ... {self.folds - 1} for `folds` {self.folds}, "
                f"not {self.fold}"
            )
        if self.test_ratio:
            raise InputError(
                "`folds` holds out each row once, so it leaves none for `test_ratio`; name rows "
                "of another file with `test_csv_path`"
            )

    def _check_sources(self) -> None:
        for one, other, part in (
            ("split_path", "val_csv_path", "validation"),
            ("split_path", "test_ratio", "test"),
            ("test_csv_path", "test_ratio", "test"),
            ("folds", "split_path", "validation"),
            ("folds", "val_csv_path", "validation"),
            *(("final", name, "validation") for name in ("folds", "split_path", "val_csv_path")),
        ):
            if getattr(self, one) and getattr(self, other):
                raise InputError(
                    f"`{one}` and `{other}` both say which rows are for {part}; give one of them"
                )


@dataclass(frozen=True)
class ModelConfig:
    """The backbone, which parts of it train, and the heads."""

    backbone: str = "ViT-B-32"
    """ViT-B-32, ViT-L-14 (CLIP, with projection) or any image model of timm by its name."""
    pretrained_ckpt: str = "auto"
    """Weights of the backbone: a file; none: random; timm: those of timm, downloaded.
    auto: fashion weights (`vtax download-weights`) for ViT-B-32 and ViT-L-14, timm for others."""
    backbone_parameters: Parameters = field(default_factory=dict)
    """Further arguments of timm.create_model, as NAME VALUE pairs: pad_type same."""
    image_size: tuple[int, int] | None = None
    """Height and width of the images in pixels; None: the size of the backbone."""
    normalization: Literal["backbone", "clip", "imagenet", "inception"] = "backbone"
    """Mean and standard deviation of the pixels; inception scales to -1 ... 1.
    backbone: as the weights file says (its metadata, or config.json of timm), else as in timm."""
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "backbone"] = "bicubic"
    """Filter that resizes the images; backbone: the one the backbone was published with."""
    unlock_block: int = -8
    """Train the blocks (stages) from this index on; 0 trains the whole backbone."""
    unfreeze_proj: bool = True
    """Train the projection behind a CLIP ViT."""
    unfreeze_cls: bool = False
    """Train the class token."""
    unfreeze_pos: bool = False
    """Train the position embedding."""
    unfreeze_top: bool = False
    """Train the first convolution and the first norm."""
    freeze_backbone: bool = False
    """Train only the heads."""
    batch_norm: bool = True
    """Put a BatchNorm per category after the backbone."""
    inter_linear: bool = True
    """Put a linear layer per category (to half the width), dropout and ReLU before the heads."""
    dropout: float = 0.4
    """Dropout probability before the heads."""
    drop_path: float = 0.0
    """Probability that training skips the last residual branch of the backbone for an image; it
    rises from 0 at the first one. The same as drop_path_rate in --backbone_parameters."""
    head: Literal["auto", "linear", "cosine"] = "auto"
    """Kind of classifier; auto: the one in the paper of the loss."""
    tta: Literal["none", "flip"] = "none"
    """Test-time averaging, in validation and in all predictions of the checkpoint.
    flip: mean probabilities of image and mirrored image, at twice the time."""

    def __post_init__(self) -> None:
        below_one(dropout=self.dropout, drop_path=self.drop_path)
        if self.drop_path and "drop_path_rate" in self.backbone_parameters:
            raise InputError("`drop_path` and drop_path_rate of `backbone_parameters` are the same")
        if self.image_size is not None:
            positive(image_size=min(self.image_size))


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
        not_negative(method_lr=self.method_lr)
        positive(update_weights_every=self.update_weights_every)
        if self.row_budget_mb is not None:
            positive(row_budget_mb=self.row_budget_mb)
        if self.drw_start_epoch is not None:
            not_negative(drw_start_epoch=self.drw_start_epoch)
        if self.ib_start_epoch is not None:
            not_negative(ib_start_epoch=self.ib_start_epoch)


@dataclass(frozen=True)
class OptimizerConfig:
    """How the objective is minimised."""

    epochs: int = 50
    """Passes over the training rows."""
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
        below_one(ema_decay=self.ema_decay)
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"`layer_decay` must lie in (0, 1], not {self.layer_decay}")
        if not 0 <= self.warm_up <= 1:
            raise InputError(f"`warm_up` must lie in [0, 1], not {self.warm_up}")


@dataclass(frozen=True)
class RunConfig:
    """Where the run computes and what it writes."""

    save_dir: Path = Path("output")
    """Folder of all runs."""
    run_name: str = "visual_taxonomy_train"
    """Folder of this run in save_dir."""
    resume: bool = False
    """Resume from last.pt in the run folder; with --config, in the folder of that file."""
    accept_changed_data: bool = False
    """Resume even if labels or images have changed since the run started."""
    overwrite: bool = False
    """Start again in a folder that holds a run.
    The old run is deleted when the new one first saves."""
    save_every: int = 200
    """Steps between saves of last.pt; an epoch of 10 s or more ends with a save too."""
    log_every: int = 20
    """Steps between two reports of the losses."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bf16 if it is faster on the device, else 32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Devices (processes) that share each batch."""
    num_nodes: int = 1
    """Machines, each with that many devices."""
    wandb: bool = False
    """Log to Weights & Biases (needs visual-taxonomy[wandb]).
    With WANDB_MODE=offline, `wandb sync` sends the log later."""
    wandb_project: str = "visual_taxonomy"
    """Project in Weights & Biases."""
    tensorboard: bool = False
    """Log to TensorBoard in the run folder (needs visual-taxonomy[tensorboard])."""
    mlflow: bool = False
    """Log to MLflow (needs visual-taxonomy[mlflow]).
    The log is a database in the run folder, or the server MLFLOW_TRACKING_URI."""
    log_checkpoint: bool = False
    """At the end of the run, send the recommended checkpoint to the trackers."""

    def __post_init__(self) -> None:
        names = ("save_every", "log_every", "devices", "num_nodes")
        positive(**{name: getattr(self, name) for name in names})
        if self.resume and self.overwrite:
            raise InputError("`resume` and `overwrite` exclude each other; give one of them")
        # A path would put the run, whose old files `overwrite` deletes, outside of `save_dir`.
        if self.run_name in ("", ".", "..") or set(self.run_name) & set("/\\\0"):
            raise InputError(
                f"`run_name` must be the name of a folder in `save_dir`, not '{self.run_name}'"
            )

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.save_dir / self.run_name


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
        if self.data.feature_views and self.data.feature_cache is None:
            raise InputError("`feature_views` needs `feature_cache`, the folder that keeps them")
        if self.data.feature_views and self.data.augmentation == "none":
            raise InputError("`feature_views` with `augmentation=none` would all be the same")


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
