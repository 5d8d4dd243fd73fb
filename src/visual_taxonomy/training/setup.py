"""Build a trainer from a config."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from visual_taxonomy.config import ModelConfig, TrainConfig
from visual_taxonomy.device import DTYPES
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import find_loss
from visual_taxonomy.model import published_settings
from visual_taxonomy.model.backbone import BACKBONES, Backbone
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.model.freezing import freeze, trainable_summary
from visual_taxonomy.model.pretrained import load_pretrained
from visual_taxonomy.model.shared_heads import share_heads
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.task_weighting import TaskWeighting
from visual_taxonomy.training.batch_source import MakeSource
from visual_taxonomy.training.diagnostics import TaskDiagnostics
from visual_taxonomy.training.feature_source import source_of
from visual_taxonomy.training.mixing import build_mixer
from visual_taxonomy.training.model import TrainedModel
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.optimizer import (
    MakeOptimizer,
    OptimizerStep,
    adamw,
    build_optimizer,
)
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables, count_classes, named_class_counts
from visual_taxonomy.training.recorder import Log, Recorder
from visual_taxonomy.training.saving import Saver
from visual_taxonomy.training.task_updates import (
    TaskUpdates,
    averages_gradients,
    backward_options,
    build_method,
)
from visual_taxonomy.training.trainer import Callback, Trainer
from visual_taxonomy.training.weight_average import WeightAverage

WEIGHTS_FOLDER = Path("weights")
"""Where `vtax download-weights` puts the fashion weights, and `pretrained_ckpt=auto` looks."""

_FOLDED = 2e-3  # the largest eps of timm's BatchNorm is 1e-3

_RARELY = 10  # intervals between two looks at gradients that a method does not need itself


class Hooks(NamedTuple):
    """What a caller may change of a trainer without touching it."""

    callbacks: Sequence[Callback] = ()
    """Called after each epoch, in order, on every process."""
    make_optimizer: MakeOptimizer = adamw
    """Makes the optimizer of parameter groups, each with its rate and decay."""
    make_source: MakeSource = source_of
    """Chooses where the batches come from."""
    on_saved: Callable[[], None] = lambda: None
    """Called on the first process once a checkpoint is on the disk."""
    log: Log = lambda values, step: None
    """Takes the values of a step or an epoch, for trackers."""


def build_trainer(
    config: TrainConfig,
    parallel: Parallel,
    tables: Tables,
    reporter: Reporter = SILENT,
    hooks: Hooks = Hooks(),  # noqa: B008 - it is immutable
) -> Trainer:
    """Put together what the config names.

    Args:
        config: The run, its precision resolved.
        parallel: Its launched processes.
        tables: Its rows.
        reporter: Shows notes and progress; silent on all processes but the first.
        hooks: What differs from the usual.

    Raises:
        InputError: A name or parameter does not exist, weights are missing or do not fit.
    """
    classifier, pretrained = _build_model(config, tables)
    objective = _build_objective(config, tables, classifier, parallel)
    # Before the source, which may compute features on the device, and before the optimizer, which
    # holds the very tensors that train.
    classifier.to(parallel.device)
    method = _build_method(config, tables, parallel)
    source = hooks.make_source(config, tables, classifier, parallel, reporter)
    averages = averages_gradients(method)
    model = TrainedModel(classifier, source.encoder, parallel, config.run.precision, averages)
    trained = _Trained(classifier, pretrained, (method, objective))
    _describe(trained, config, parallel, reporter)
    return Trainer(
        config,
        tables,
        source,
        model,
        objective,
        _build_updates(config, method, model, parallel),
        _build_optimizer(config, trained, len(source), hooks.make_optimizer),
        parallel,
        _build_recorder(config, tables, method, hooks.log),
        _build_saver(config, tables, classifier, parallel, hooks.on_saved),
        hooks.callbacks,
        reporter,
        WeightAverage(classifier, decay) if (decay := config.optimizer.ema_decay) else None,
        build_mixer(config),
    )


class _Trained(NamedTuple):
    """What has parameters, and where they come from."""

    classifier: Classifier
    pretrained: bool
    others: tuple[nn.Module, ...]
    """Task weights and losses, some of which learn."""


def _build_model(config: TrainConfig, tables: Tables) -> tuple[Classifier, bool]:
    """The model, frozen as configured, and whether its backbone has trained weights."""
    head = find_loss(config.objective.loss_type).head
    model = build_classifier(tables.taxonomy, config.model, head)
    if config.model.shared_heads:
        share_heads(model.heads, tables.taxonomy)
    pretrained = load_weights(model, config.model)
    freeze_as_configured(model, config.model)
    return model, pretrained


def _build_objective(
    config: TrainConfig, tables: Tables, model: Classifier, parallel: Parallel
) -> Objective:
    counts = count_classes(tables.training)
    objective = Objective(tables.taxonomy, counts, config.objective, config.optimizer.epochs)
    scale = model.heads.classifiers.scale
    if scale is not None and objective.cosine_scale is not None:
        # A buffer, so checkpoints hold it: answers are those of the softmax that was trained.
        scale.fill_(objective.cosine_scale)
    return objective.to(parallel.device)


def _build_method(config: TrainConfig, tables: Tables, parallel: Parallel) -> TaskWeighting:
    method = build_method(config.objective, tables.taxonomy)
    if DTYPES[config.run.precision] == torch.float16 and not method.is_linear:
        raise InputError(
            f"`precision=16` scales the losses, which `method={config.objective.method}` must see "
            "as they are; use `precision=bf16` or 32"
        )
    return method.to(parallel.device)


def _build_updates(
    config: TrainConfig, method: TaskWeighting, model: TrainedModel, parallel: Parallel
) -> TaskUpdates:
    options = backward_options(config.objective, method.screens)
    shared = model.shared_parameters()
    return TaskUpdates(method, options, shared, parallel, config.data.random_state)


def _build_optimizer(
    config: TrainConfig, trained: _Trained, steps_per_epoch: int, make: MakeOptimizer
) -> OptimizerStep:
    learnt = [parameter for module in trained.others for parameter in module.parameters()]
    optimizer = build_optimizer(
        trained.classifier,
        config.optimizer,
        trained.pretrained,
        learnt,
        config.objective.method_lr,
        make,
    )
    device = next(trained.classifier.parameters()).device.type
    enabled = DTYPES[config.run.precision] == torch.float16
    scaler = torch.amp.GradScaler(device, enabled=enabled)
    total_steps = config.optimizer.epochs * steps_per_epoch
    probe_steps = config.optimizer.probe_first * steps_per_epoch
    return OptimizerStep(optimizer, config.optimizer, total_steps, scaler, probe_steps)


def _build_saver(
    config: TrainConfig,
    tables: Tables,
    model: Classifier,
    parallel: Parallel,
    on_saved: Callable[[], None],
) -> Saver:
    # Resolved: who reads the checkpoint knows no loss by which `auto` could be settled.
    as_built = replace(config.model, head=model.heads.classifiers.kind)
    counts = named_class_counts(tables.training)
    named, is_first = bool(tables.training.named_columns), parallel.is_first
    return Saver(config, tables.taxonomy, as_built, counts, named, is_first, on_saved)


def _build_recorder(
    config: TrainConfig, tables: Tables, method: TaskWeighting, log: Log
) -> Recorder:
    every = config.run.log_every
    # Other kinds take a gradient by task anyway; these pay a pass through the heads for each.
    gradients_every = every * (_RARELY if method.kind == "losses" else 1)
    diagnostics = TaskDiagnostics(tables.taxonomy.task_names, every, gradients_every)
    return Recorder(diagnostics, log)


def as_published(config: TrainConfig, reporter: Reporter) -> TrainConfig:
    """The config with what its weights file says of images and layers, where no flag does.

    Raises:
        InputError: The file was trained with a normalisation that does not exist here.
    """
    model = published_settings.as_published(config.model)
    if model == config.model:
        return config
    reporter.note(
        f"as {model.pretrained_ckpt} says: `normalization={model.normalization}`, "
        f"`backbone_parameters` {model.backbone_parameters}"
    )
    return replace(config, model=model)


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
    if config.normalization == "backbone" and has_folded_norms(backbone):
        warnings.warn(
            f"{wanted}: its BatchNorm is folded into the convolutions, so it was converted from "
            f"another program, and images may have been normalised in another way than timm's for "
            f"{backbone.name}; if you know how, give `normalization`",
            stacklevel=1,
        )
    return True


def has_folded_norms(backbone: Backbone) -> bool:
    """Whether every BatchNorm has mean 0 and variance 1, as conversions from other programs do."""
    norms = [each for each in backbone.modules() if isinstance(each, nn.BatchNorm2d)]
    # The variance is often 1 - eps, which makes the layer the identity to the last bit.
    return bool(norms) and all(
        bool((norm.running_mean == 0).all() and ((norm.running_var - 1).abs() < _FOLDED).all())
        for norm in norms
        if norm.running_mean is not None and norm.running_var is not None
    )


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


def _describe(
    trained: _Trained, config: TrainConfig, parallel: Parallel, reporter: Reporter
) -> None:
    """Note what is trained, and how."""
    model = trained.classifier
    backbone = model.encoder.backbone
    height, width = backbone.preprocessing.image_size
    heads = sum(parameter.numel() for parameter in model.heads.parameters())
    dtype = str(DTYPES[config.run.precision]).removeprefix("torch.")
    reporter.note(
        f"{backbone.name}, {height}x{width} px; trained: {trainable_summary(backbone)}, "
        f"and the heads' {heads:,}; {dtype} on {parallel.world_size} x {parallel.device.type}"
    )
    if config.optimizer.probe_first:
        reporter.note(f"only the heads train in the first {config.optimizer.probe_first} epochs")
    if not trained.pretrained and not all(p.requires_grad for p in model.encoder.parameters()):
        reporter.note(
            "note: part of a backbone with random weights is frozen; `unlock_block=0` trains it"
        )
