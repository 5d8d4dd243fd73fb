"""The whole of a run: frozen dataclasses that are the flags, the TOML file and the record.

The command line makes its flags from these classes (the text under a field is its help), a TOML
file gives defaults with the same names, and the run folder keeps the run as it ran.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tomli_w

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.taxonomy import MISSING_VALUES

Parameters = dict[str, int | float | bool | str]
Precision = Literal["auto", "32", "bf16", "16"]
EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]
C = TypeVar("C")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"--{name} must be above 0, not {value}")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise InputError(f"--{name} must be 0 or more, not {value}")


@dataclass(frozen=True)
class DataConfig:
    """Pictures, labels and how they become batches."""

    img_dir: Path
    """Folder of the pictures, named by id: `000123.jpg` or `123.png` for id 123."""
    csv_path: Path
    """Labelled CSV (or Parquet): id, Category, len, attr_1 ... attr_10; empty = unknown, and so
    are NA, N/A, NaN, None, null, ... (--missing_values)."""
    attributes_config: Path | None = None
    """Taxonomy {category: {attribute: [classes]}}; built from the CSV when left out."""
    parq_path: Path | None = None
    """Parquet with the attribute names of each category, for a taxonomy built from the CSV."""
    val_ratio: float = 0.2
    """Share of the rows used for validation."""
    random_state: int = 42
    """Seed of the split, the order of batches, augmentation and weights."""
    split_path: Path | None = None
    """CSV (id, split) of an earlier run to use its split again."""
    group_duplicates: bool = True
    """Keep near-duplicate pictures on one side of the split."""
    batch_sampling: Literal["mixed", "sequential", "joint"] = "mixed"
    """One category a batch, taking turns or one after the other; joint mixes them in a batch."""
    feature_cache: Path | None = None
    """Folder for the features of a frozen backbone (--freeze_backbone), encoded only once."""
    feature_views: int = 0
    """Augmented views of each training picture in the feature cache; 0: the plain picture."""
    train_workers: int = 5
    """Processes that load training pictures, no more than there are cores."""
    val_workers: int = 2
    """Processes that load validation pictures, no more than there are cores."""
    image_cache: Path | None = None
    """Folder that keeps decoded pictures for later epochs and runs; ram: memory of this run."""
    missing_values: tuple[str, ...] = MISSING_VALUES
    """Texts that mean an unknown label, in this case of letters; empty cells always do."""
    attribute_columns: tuple[str, ...] | None = None
    """Columns that hold labels; None: attr_1, attr_2, ..., or else all but those of free text."""

    def __post_init__(self) -> None:
        if not 0 < self.val_ratio < 1:
            raise InputError(f"--val_ratio must lie between 0 and 1, not {self.val_ratio}")
        _not_negative(train_workers=self.train_workers, val_workers=self.val_workers)
        _not_negative(random_state=self.random_state, feature_views=self.feature_views)


@dataclass(frozen=True)
class ModelConfig:
    """Backbone, what of it is trained, and the heads."""

    backbone: str = "ViT-B-32"
    """ViT-B-32, ViT-L-14 (CLIP, with projection) or any image encoder of timm by its name."""
    pretrained_ckpt: str = "auto"
    """Weights of the backbone: a file, none (random), timm (its own, online), or auto: the
    downloaded fashion weights for ViT-B-32 and ViT-L-14, timm's for the others."""
    backbone_parameters: Parameters = field(default_factory=dict)
    """Further parameters of timm.create_model, as NAME VALUE pairs: pad_type same."""
    image_size: tuple[int, int] | None = None
    """Height and width of the pictures in pixels; None: what the backbone was made for."""
    normalization: Literal["backbone", "clip", "imagenet", "inception"] = "backbone"
    """Mean and std of the pictures; inception scales to -1 ... 1."""
    unlock_block: int = -8
    """Blocks (stages) from this index on are trained; 0 trains the whole backbone."""
    unfreeze_proj: bool = True
    """Train the projection behind a CLIP ViT."""
    unfreeze_cls: bool = False
    """Train the class token."""
    unfreeze_pos: bool = False
    """Train the position embedding."""
    unfreeze_top: bool = False
    """Train the first convolution and the first norm."""
    freeze_backbone: bool = False
    """Train nothing of the backbone, only the heads."""
    batch_norm: bool = True
    """BatchNorm of the category behind the backbone."""
    inter_linear: bool = True
    """Linear layer of the category (to half width), dropout and ReLU."""
    dropout: float = 0.4
    """Share of hidden values dropped in training."""
    head: Literal["auto", "linear", "cosine"] = "auto"
    """Kind of the classifiers; auto takes what the paper of the loss uses."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise InputError(f"--dropout must lie in [0, 1), not {self.dropout}")
        if self.image_size is not None:
            _positive(image_size=min(self.image_size))


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: loss, class weights, task weights."""

    loss_type: str = "CE"
    """CE, LDAM, Focal, IB, IBFocal, CE-CB, F-CB, VS, CDT, LA, ...: see `vtax list losses`."""
    loss_parameters: Parameters = field(default_factory=dict)
    """Parameters of the loss, as NAME VALUE pairs: max_margin 0.5 scale 30."""
    train_rule: str = "None"
    """Class weights by epoch: None, DRW, CBReweight, IBReweight: see `vtax list schedules`."""
    train_rule_parameters: Parameters = field(default_factory=dict)
    """Parameters of the train rule, as NAME VALUE pairs: onset 0.8."""
    beta: float = 0.999
    """Beta of the effective number of samples: CE-CB, F-CB, DRW, CBReweight."""
    drw_start_epoch: int | None = None
    """First epoch (from 0) that DRW re-weights; None: its paper's, after 0.8 of the epochs."""
    ib_start_epoch: int | None = None
    """First epoch (from 0) of IB and IBFocal proper, CE before; None: half the epochs."""
    method: str = "none"
    """Multi-task weighting: EW, UW, PCGrad, ...: see `vtax list methods`; none: the plain sum."""
    method_parameters: Parameters = field(default_factory=dict)
    """Parameters of the method, as NAME VALUE pairs."""
    gradient_source: Literal["auto", "parameters", "features", "last_layer"] = "auto"
    """What weights of a Gramian method come from: exact gradients of the shared parameters, or
    those of the features or of the last shared layer in one backward pass."""
    update_weights_every: int = 1
    """Steps for which weights of a Gramian method are used."""
    head_scale: Literal["auto", "unit", "weights"] = "auto"
    """Factor on the gradients of the heads: 1, or the task's weight."""
    normalize_direction: Literal["none", "sum", "mean"] = "none"
    """Rescale the shared update to the norm of the sum, or the mean, of the gradients."""
    row_budget_mb: int | None = None
    """Most memory for the gradients of the tasks, in megabytes; beyond, one more pass."""
    row_dtype: Literal["float32", "bf16"] = "float32"
    """Type in which the gradients of the tasks are kept; bf16: half the memory, three digits."""
    method_lr: float = 1e-3
    """Learning rate of task weights that are learnt (UW, GradNorm, IMTL), constant."""

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise InputError(f"--beta must lie in [0, 1], not {self.beta}")
        _not_negative(method_lr=self.method_lr)
        _positive(update_weights_every=self.update_weights_every)
        if self.drw_start_epoch is not None:
            _not_negative(drw_start_epoch=self.drw_start_epoch)
        if self.ib_start_epoch is not None:
            _not_negative(ib_start_epoch=self.ib_start_epoch)


@dataclass(frozen=True)
class OptimizerConfig:
    """How it is minimised."""

    epochs: int = 50
    """Passes over the training rows."""
    batch_size: int = 256
    """Pictures a step, over all devices together."""
    patience: int = 10
    """Stop after this many epochs in which neither validation loss nor F1 improved."""
    pretrained_lr: float = 1e-5
    """Learning rate of the trained layers of the backbone."""
    pretrained_weight_decay: float = 1e-4
    """Weight decay of the trained layers of the backbone."""
    scratch_lr: float = 1e-4
    """Learning rate of the new layers."""
    scratch_weight_decay: float = 1e-4
    """Weight decay of the new layers."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls as a cosine."""

    def __post_init__(self) -> None:
        _positive(epochs=self.epochs, batch_size=self.batch_size, patience=self.patience)
        _positive(clip_norm=self.clip_norm)
        _not_negative(
            pretrained_lr=self.pretrained_lr,
            pretrained_weight_decay=self.pretrained_weight_decay,
            scratch_lr=self.scratch_lr,
            scratch_weight_decay=self.scratch_weight_decay,
        )
        if not 0 <= self.warm_up <= 1:
            raise InputError(f"--warm_up must lie in [0, 1], not {self.warm_up}")


@dataclass(frozen=True)
class RunConfig:
    """Where it runs and what it leaves behind."""

    save_dir: Path = Path("output")
    """Folder of all runs."""
    run_name: str = "visual_taxonomy_train"
    """Folder of this run in save_dir."""
    resume: bool = False
    """Go on from the last.pt of the run folder."""
    overwrite: bool = False
    """Start anew in a run folder that holds a run."""
    save_every: int = 200
    """Steps between saves of last.pt in an epoch; epochs end with one too, if they last 10 s."""
    log_every: int = 20
    """Steps between two readings of the losses."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bf16 where the device is faster with it, else 32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Devices (processes) that share each batch."""
    num_nodes: int = 1
    """Machines, each with that many devices."""
    wandb: bool = False
    """Log to Weights & Biases (extra: visual-taxonomy[wandb])."""
    wandb_project: str = "visual_taxonomy"
    """Project in Weights & Biases."""
    tensorboard: bool = False
    """Log to TensorBoard in the run folder (extra: visual-taxonomy[tensorboard])."""
    mlflow: bool = False
    """Log to MLflow in the run folder (extra: visual-taxonomy[mlflow])."""

    def __post_init__(self) -> None:
        _positive(save_every=self.save_every, log_every=self.log_every)
        _positive(devices=self.devices, num_nodes=self.num_nodes)
        if not self.run_name or Path(self.run_name).name != self.run_name:
            raise InputError(f"--run_name must be the name of a folder, not '{self.run_name}'")

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
                "--feature_cache needs --freeze_backbone: features of a backbone that is trained "
                "change at every step"
            )
        if self.data.feature_views and self.data.feature_cache is None:
            raise InputError("--feature_views needs --feature_cache, the folder that keeps them")


@dataclass(frozen=True)
class InferenceConfig:
    """How a checkpoint or a bundle is run."""

    engine: EngineName = "auto"
    """What runs the model; auto: torch for checkpoints, what a bundle was measured with."""
    batch_size: int | None = None
    """Pictures a step; None: what suits engine and device."""
    workers: int = 2
    """Processes or threads that load pictures, no more than there are cores."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bf16 where the device is faster with it, else 32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            _positive(batch_size=self.batch_size)
        _not_negative(workers=self.workers)


def to_dict(config: object) -> dict[str, Any]:
    """A config as plain values: sections of strings, numbers, lists; None is left out.

    Example:
        >>> to_dict(DataConfig(Path("pictures"), Path("train.csv")))["img_dir"]
        'pictures'
    """
    plain: dict[str, Any] = {}
    for entry in fields(config):  # type: ignore[arg-type]
        value = getattr(config, entry.name)
        if is_dataclass(value):
            plain[entry.name] = to_dict(value)
        elif value is not None:
            plain[entry.name] = _plain(value)
    return plain


def from_dict(kind: type[C], values: Mapping[str, Any], source: str = "config") -> C:
    """The inverse of `to_dict`.

    Raises:
        InputError: A key is unknown or a required one is missing; `source` names the place.

    Example:
        >>> from_dict(OptimizerConfig, {"epoch": 3})
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: config: 'epoch' is none of: epochs, ...
    """
    hints = get_type_hints(kind)
    known = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{source}: {unknown_name(name, known)}")
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint):
            arguments[name] = from_dict(hint, value, f"{source}, [{name}]")
        else:
            arguments[name] = _typed(hint, value, f"{source}: {name}")
    for entry in fields(kind):  # type: ignore[arg-type]
        required = entry.default is MISSING and entry.default_factory is MISSING
        if required and entry.name not in arguments:
            raise InputError(f"{source}: '{entry.name}' is missing")
    return kind(**arguments)


def read_toml(kind: type[C], path: Path) -> C:
    """Read a config written by `write_toml`, or by hand.

    Raises:
        InputError: The file is missing, is not TOML, or has a key that does not exist.
    """
    try:
        require_regular(path)
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such config file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from None
    return from_dict(kind, values, str(path))


def to_toml(config: object) -> str:
    """The text of a TOML file that `read_toml` reads back to an equal config."""
    return tomli_w.dumps(to_dict(config))


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _typed(hint: object, value: object, key: str) -> object:
    kinds = [hint] if get_origin(hint) in (Literal, tuple, dict) else get_args(hint) or [hint]
    for kind in kinds:
        if kind is Path and isinstance(value, str):
            return Path(value)
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if get_origin(kind) is tuple and isinstance(value, list):
            return tuple(value)
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
        if type(value) is (get_origin(kind) or kind):
            return value
    raise InputError(f"{key} = {value!r} cannot be used; expected {_readable(hint)}")


def _readable(hint: object) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
