"""Build everything a training run consists of, from its config."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from visual_taxonomy.choice import find
from visual_taxonomy.config import ModelConfig, ObjectiveConfig, TrainConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.cached_pictures import CachedPictures
from visual_taxonomy.data.dataset import Batch, PictureDataset, batches_in_order, make_loader
from visual_taxonomy.data.image_cache import IN_MEMORY, cached_size, open_cache
from visual_taxonomy.data.sampler import BatchSampler
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform, training_transform
from visual_taxonomy.device import DTYPES
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.model.backbone import BACKBONES
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.model.freezing import freeze, trainable_summary
from visual_taxonomy.model.pretrained import load_pretrained
from visual_taxonomy.progress import show_progress
from visual_taxonomy.task_weighting import (
    BackwardOptions,
    TaskWeighting,
    build_task_weighting,
)
from visual_taxonomy.task_weighting.methods.equal import EqualWeighting
from visual_taxonomy.training.diagnostics import TaskDiagnostics
from visual_taxonomy.training.distributed import parallelize
from visual_taxonomy.training.history import EpochLosses
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.optimizer import build_optimizer
from visual_taxonomy.training.preparation import Tables, count_classes, named_class_counts
from visual_taxonomy.training.records import Records
from visual_taxonomy.training.unreadable import Unreadable

WEIGHTS_FOLDER = Path("weights")
"""Where `vtax download-weights` puts the fashion weights, and `--pretrained_ckpt auto` looks."""

_RARELY = 10  # intervals between two looks at gradients that a method does not need itself


@dataclass
class Position:
    """How far a run has come; with the weights, all that a resumed run needs to know."""

    epoch: int = 0
    """The epoch that is running, from 0."""
    step: int = 0
    """Steps of that epoch that are done."""
    records: Records = field(default_factory=Records)
    history: list[dict[str, float]] = field(default_factory=list)
    """A row of metrics.csv for each epoch that has ended."""
    losses: EpochLosses = field(default_factory=EpochLosses)
    """Training losses of the running epoch."""


@dataclass
class Run:
    """The parts of a run, on their device."""

    config: TrainConfig
    fabric: Fabric
    tables: Tables
    model: Classifier
    model_config: ModelConfig
    """The config of the model with `head` resolved, as a checkpoint keeps it."""
    encoder: nn.Module
    """`model.encoder` as training calls it: wrapped where processes share a batch."""
    objective: Objective
    method: TaskWeighting
    options: BackwardOptions
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    dtype: torch.dtype
    sampler: BatchSampler
    training_batches: Iterable[Batch]
    validation_batches: Iterable[Batch]
    generator: torch.Generator
    """Of task-weighting methods that draw; alike on all processes."""
    diagnostics: TaskDiagnostics
    """Weights and gradients of the tasks; saved with the position."""
    position: Position = field(default_factory=Position)
    unreadable: Unreadable = field(default_factory=Unreadable)
    on_saved: Callable[[], None] = lambda: None
    """Called on the first process once a checkpoint is on the disk."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.fabric.device

    @property
    def averages(self) -> bool:
        """Whether DistributedDataParallel averages the gradients of the processes."""
        return self.method.kind == "losses"

    @cached_property
    def class_counts(self) -> dict[str, list[int]]:
        """Task name -> training labels of each class."""
        return named_class_counts(self.tables.training)

    @cached_property
    def shared(self) -> list[Tensor]:
        """Trained parameters that several tasks use: trunk, BatchNorm and Linear of a category."""
        modules = (self.model.encoder, self.model.heads.norm, self.model.heads.linear)
        return [p for module in modules if module for p in module.parameters() if p.requires_grad]

    def autocast(self) -> torch.autocast:
        """The precision of the backbone."""
        return torch.autocast(
            self.device.type, self.dtype, enabled=self.dtype != torch.float32, cache_enabled=True
        )


def build_run(config: TrainConfig, fabric: Fabric, tables: Tables, console: Console) -> Run:
    """Put together what the config names.

    Args:
        config: The run, its precision resolved.
        fabric: Its launched processes.
        tables: Its rows.
        console: Of the person at the keyboard; quiet on all processes but the first.

    Raises:
        InputError: A name or parameter does not exist, weights are missing or do not fit.
    """
    names = config.objective
    model = build_classifier(tables.taxonomy, config.model, find(LOSSES, names.loss_type).head)
    pretrained = load_weights(model, config.model)
    freeze_as_configured(model, config.model)
    counts = count_classes(tables.training)
    objective = Objective(tables.taxonomy, counts, names, config.optimizer.epochs)
    objective.to(fabric.device)
    if model.heads.classifiers.scale is not None and objective.cosine_scale is not None:
        model.heads.classifiers.scale.fill_(objective.cosine_scale)
    method = _build_method(config, tables).to(fabric.device)
    dtype = DTYPES[config.run.precision]
    if dtype == torch.float16 and not isinstance(method, EqualWeighting):
        raise InputError(
            f"--precision 16 scales the losses, which --method {names.method} must see as they "
            "are; use --precision bf16 or 32"
        )
    encoder = parallelize(fabric, model.encoder, averages=method.kind == "losses")
    model.heads.to(fabric.device)
    learnt = [*method.parameters(), *objective.parameters()]
    sampler, training_batches = _training_batches(config, fabric, tables, model, console)
    console.print(_summary(model, dtype, fabric))
    if not pretrained and not all(p.requires_grad for p in model.encoder.parameters()):
        console.print(
            "note: part of a backbone with random weights is frozen; --unlock_block 0 trains it"
        )
    return Run(
        config=config,
        fabric=fabric,
        tables=tables,
        model=model,
        model_config=replace(config.model, head=model.heads.classifiers.kind),
        encoder=encoder,
        objective=objective,
        method=method,
        options=_backward_options(names),
        optimizer=build_optimizer(model, config.optimizer, pretrained, learnt, names.method_lr),
        scaler=torch.amp.GradScaler(fabric.device.type, enabled=dtype == torch.float16),
        dtype=dtype,
        sampler=sampler,
        training_batches=training_batches,
        validation_batches=_validation_batches(config, fabric, tables, model, console),
        generator=torch.Generator().manual_seed(config.data.random_state),
        diagnostics=TaskDiagnostics(
            tables.taxonomy.task_names,
            config.run.log_every,
            config.run.log_every * (_RARELY if method.kind == "losses" else 1),
        ),
    )


def _build_method(config: TrainConfig, tables: Tables) -> TaskWeighting:
    wanted = config.objective.method
    parameters: dict[str, Any] = dict(config.objective.method_parameters)
    if wanted.casefold() == "gradnorm":
        # What guessing costs: known before the first step, unlike the loss of the first batch.
        parameters["initial_losses"] = {
            task.name: math.log(max(2, len(task.classes))) for task in tables.taxonomy.tasks
        }
    name = "EW" if wanted.casefold() == "none" else wanted
    return build_task_weighting(name, tables.taxonomy.task_names, **parameters)


def _backward_options(config: ObjectiveConfig) -> BackwardOptions:
    return BackwardOptions(
        source=None if config.gradient_source == "auto" else config.gradient_source,
        update_weights_every=config.update_weights_every,
        head_scale=None if config.head_scale == "auto" else config.head_scale,
        normalize_direction=(
            None if config.normalize_direction == "none" else config.normalize_direction
        ),
        row_budget_bytes=None if config.row_budget_mb is None else config.row_budget_mb * 2**20,
        row_dtype=torch.bfloat16 if config.row_dtype == "bf16" else torch.float32,
        screen=config.method.casefold() != "none",
    )


def _training_batches(
    config: TrainConfig, fabric: Fabric, tables: Tables, model: Classifier, console: Console
) -> tuple[BatchSampler, DataLoader[Batch]]:
    size = model.encoder.backbone.preprocessing.image_size
    seed = config.data.random_state
    sampler = BatchSampler(
        tables.training.categories,
        config.optimizer.batch_size,
        config.data.batch_sampling,
        seed,
        fabric.global_rank,
        fabric.world_size,
    )
    table = tables.training
    dataset = PictureDataset(
        _pictures(config, fabric, table, size, console),
        table.categories,
        table.targets,
        training_transform(size),
        size,
        seed,
    )
    on_gpu = fabric.device.type == "cuda"
    return sampler, make_loader(dataset, sampler, config.data.train_workers, on_gpu)


def _validation_batches(
    config: TrainConfig, fabric: Fabric, tables: Tables, model: Classifier, console: Console
) -> DataLoader[Batch]:
    size = model.encoder.backbone.preprocessing.image_size
    batches = batches_in_order(
        len(tables.validation),
        config.optimizer.batch_size,
        fabric.global_rank,
        fabric.world_size,
    )
    table = tables.validation
    dataset = PictureDataset(
        _pictures(config, fabric, table, size, console),
        table.categories,
        table.targets,
        evaluation_transform(size),
        size,
    )
    on_gpu = fabric.device.type == "cuda"
    return make_loader(dataset, batches, config.data.val_workers, on_gpu)


def _pictures(
    config: TrainConfig, fabric: Fabric, table: Table, image_size: tuple[int, int], console: Console
) -> Callable[[int], Path | np.ndarray]:
    """What gives the picture of a row: its file, or the cache that the first process builds."""
    place = config.data.image_cache
    if place is None:
        return table.path
    if place == IN_MEMORY and getattr(fabric.strategy, "num_nodes", 1) > 1:
        raise InputError("--image_cache ram is for one machine; name a folder that all of them see")
    pictures: CachedPictures | None = None
    if fabric.is_global_zero:
        paths = [table.path(row) for row in range(len(table))]
        workers = min(config.data.train_workers, available_cores())
        with show_progress(console, "decoding pictures for the cache") as advance:
            pictures = open_cache(place, paths, cached_size(image_size), workers, advance)
    return cast(CachedPictures, fabric.broadcast(pictures))


def load_weights(model: Classifier, config: ModelConfig) -> bool:
    """Load the backbone's weights as the config says; False if they stay random."""
    wanted = config.pretrained_ckpt
    if wanted.casefold() == "none":
        return False
    backbone = model.encoder.backbone
    if wanted.casefold() == "auto":
        tower = BACKBONES.get(backbone.name)
        wanted = str(WEIGHTS_FOLDER / tower.file_name) if tower else "timm"
    load_pretrained(backbone, wanted)
    return True


def freeze_as_configured(model: Classifier, config: ModelConfig) -> None:
    """Decide what of the backbone is trained."""
    freeze(
        model.encoder.backbone,
        unlock_block=config.unlock_block,
        unfreeze_proj=config.unfreeze_proj,
        unfreeze_cls=config.unfreeze_cls,
        unfreeze_pos=config.unfreeze_pos,
        unfreeze_top=config.unfreeze_top,
        freeze_backbone=config.freeze_backbone,
    )


def _summary(model: Classifier, dtype: torch.dtype, fabric: Fabric) -> str:
    backbone = model.encoder.backbone
    height, width = backbone.preprocessing.image_size
    heads = sum(parameter.numel() for parameter in model.heads.parameters())
    return (
        f"{backbone.name}, {height}x{width} px; trained: {trainable_summary(backbone)}, "
        f"and the heads' {heads:,}; "
        f"{str(dtype).removeprefix('torch.')} on {fabric.world_size} x {fabric.device.type}"
    )
