"""The training loop, from a config to three best checkpoints."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import Progress, TaskID
from torch import Tensor

from visual_taxonomy.config import TrainConfig, read_toml
from visual_taxonomy.data.table import Table
from visual_taxonomy.device import explain_precision, pick_precision
from visual_taxonomy.evaluation import Report
from visual_taxonomy.progress import progress_bar, show_progress
from visual_taxonomy.training.distributed import launch
from visual_taxonomy.training.feature_cache import use_cached_features
from visual_taxonomy.training.history import EpochLosses, build_loggers
from visual_taxonomy.training.interruption import StopRequest, stop_request
from visual_taxonomy.training.optimizer import learning_rate_factor, set_learning_rate
from visual_taxonomy.training.preparation import (
    CLASS_COUNTS_NAME,
    Tables,
    read_labelled_table,
    split_table,
    write_class_counts,
)
from visual_taxonomy.training.saving import (
    CONFIG_NAME,
    open_folder,
    restore,
    save_epoch,
    save_last,
    warn_of_missing,
)
from visual_taxonomy.training.setup import Run, build_run
from visual_taxonomy.training.step import Validation, train_step, validate

_SECONDS_BETWEEN_SAVES = 10.0
"""Epochs that end sooner after the last save do without: it would take a part of their time."""


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The run was asked to stop; last.pt says where."""


class Result(NamedTuple):
    """What a finished run leaves."""

    folder: Path
    report: Report
    """Scores of the last epoch."""
    validation: Table
    """The rows it was scored on."""
    history: list[dict[str, float]]
    """A row of metrics.csv for each epoch."""
    class_counts: dict[str, list[int]]
    """Task name -> training labels of each class."""
    cosines: Tensor
    """[T, T] mean cosines of the tasks' gradients; NaN for tasks that never met."""


def train(config: TrainConfig, console: Console) -> Result | None:
    """Train a model and write its checkpoints into the run folder.

    Returns:
        The result; None on the processes other than the first.

    Raises:
        InputError: Something given cannot be used, or a loss is not finite.
        Interrupted: Ctrl-C or SIGTERM came; the run can be resumed.
    """
    fabric = launch(config.run, build_loggers(config.run))
    if not fabric.is_global_zero:
        console = Console(quiet=True)
    config = _resolve_precision(config, fabric, console)
    fabric.seed_everything(config.data.random_state, verbose=False)
    tables = _read_tables(config, fabric, console)
    run = build_run(config, fabric, tables, console)
    if config.data.feature_cache is not None:
        use_cached_features(run, console)
    if config.run.resume:
        restore(run, console.print)
    validation = None
    saved = time.perf_counter()
    with stop_request() as stop, progress_bar(console) as progress:
        bar = progress.add_task("", total=config.optimizer.epochs * len(run.sampler))
        while not _has_ended(run):
            started = time.perf_counter()
            seconds_waiting = _train_epoch(run, stop, progress, bar)
            trained = time.perf_counter()
            validation = validate(run)
            _end_epoch(run, validation, trained - started, seconds_waiting)
            console.print(_line(run))
            stopping = stop.came
            is_last = stopping or _has_ended(run)
            if fabric.broadcast(is_last or time.perf_counter() - saved >= _SECONDS_BETWEEN_SAVES):
                save_last(run)
                saved = time.perf_counter()
            if stopping:
                raise Interrupted
    validation = validation or validate(run)
    if not fabric.is_global_zero:
        return None
    warn_of_missing(run)
    return Result(
        config.run.folder,
        validation.report,
        tables.validation,
        run.position.history,
        run.class_counts,
        run.diagnostics.cosines(),
    )


def _resolve_precision(config: TrainConfig, fabric: Fabric, console: Console) -> TrainConfig:
    """Settle what "auto" means once: for all processes, and for the runs that resume this one."""
    kept = config.run.folder / CONFIG_NAME
    precision = config.run.precision
    if precision == "auto" and config.run.resume and kept.exists():
        precision = read_toml(TrainConfig, kept).run.precision
    picked = fabric.broadcast(pick_precision(precision, fabric.device))
    if note := explain_precision(precision, fabric.device):
        console.print(note)
    return replace(config, run=replace(config.run, precision=picked))


def _read_tables(config: TrainConfig, fabric: Fabric, console: Console) -> Tables:
    """Read on the first process first: it draws the split, the others read it."""
    data = config.data
    with fabric.rank_zero_first():
        table = read_labelled_table(
            data.csv_path, data.img_dir, data.attributes_config, data.parq_path
        )
        if fabric.is_global_zero:
            open_folder(config)
        with show_progress(console, "comparing pictures") as advance:
            tables = split_table(table, data, config.run.folder, advance)
    console.print(
        f"{len(tables.training)} rows to train on, {len(tables.validation)} to validate, "
        f"{len(tables.taxonomy.categories)} categories, {len(tables.taxonomy.tasks)} attributes"
    )
    if fabric.is_global_zero:
        path = config.run.folder / CLASS_COUNTS_NAME
        absent = write_class_counts(path, tables.training)
        if absent:
            console.print(f"note: {absent} classes have no training label; counts: {path}")
    return tables


def _train_epoch(run: Run, stop: StopRequest, progress: Progress, bar: TaskID) -> float:
    """The rest of the epoch the run is in; returns the seconds it waited for pictures."""
    config, position = run.config, run.position
    steps_before = position.epoch * len(run.sampler)
    total_steps = config.optimizer.epochs * len(run.sampler)
    run.objective.start_epoch(position.epoch, run.device)
    run.sampler.set_position(position.epoch, position.step)
    check_every = config.run.log_every if run.device.type == "cuda" else 1
    waiting, unreadable = 0.0, 0
    skipped_before = dict(run.method.record.num_skipped)
    run.model.train()
    asked = time.perf_counter()
    for batch in run.training_batches:
        waiting += time.perf_counter() - asked
        unreadable += len(batch.problems)
        step = steps_before + position.step
        factor = learning_rate_factor(step, total_steps, config.optimizer.warm_up)
        set_learning_rate(run.optimizer, factor)
        train_step(run, batch, step)
        position.step += 1
        ended = position.step == len(run.sampler)
        stopping = not ended and _shall_stop(run, stop)
        saving = stopping or (not ended and position.step % config.run.save_every == 0)
        if ended or saving or position.step % check_every == 0:
            position.losses.fetch(config.optimizer.scratch_lr * factor)
            for watched in run.diagnostics.fetch():
                run.fabric.log_dict(watched.values, step=watched.step)
            text = f"epoch {position.epoch + 1}, loss {position.losses.mean():.3f}"
            progress.update(bar, completed=step + 1, description=text)
        if saving:
            save_last(run)
        if stopping:
            raise Interrupted
        asked = time.perf_counter()
    if unreadable:
        warnings.warn(f"{unreadable} pictures could not be read and were skipped", stacklevel=1)
    _warn_of_skipped(run, skipped_before)
    run.method.end_epoch()
    return waiting


def _warn_of_skipped(run: Run, before: Mapping[str, int]) -> None:
    counts = run.method.record.num_skipped.items()
    new = {name: count - before.get(name, 0) for name, count in counts}
    named = ", ".join(f"{name} in {count} steps" for name, count in new.items() if count)
    if named:
        warnings.warn(f"losses or gradients that were not finite left out {named}", stacklevel=1)


def _end_epoch(run: Run, validation: Validation, seconds: float, waiting: float) -> None:
    """Note what the epoch reached, save what it earned, and move on to the next."""
    position = run.position
    row = {
        "epoch": position.epoch,
        "step": (position.epoch + 1) * len(run.sampler),
        "train_loss": position.losses.mean(),
        "val_loss": validation.loss,
        "hm": validation.report.hm,
        "micro": validation.report.micro,
        "macro": validation.report.macro,
        "lr": max(group["lr"] for group in run.optimizer.param_groups),
        "images_per_second": len(run.tables.training) / seconds,
        "waiting_share": waiting / seconds,
        "seconds": seconds,
    }
    share = run.diagnostics.conflict_share()
    if share is not None:
        row["conflict_share"] = share
    run.diagnostics.end_epoch(position.epoch, run.method.record.num_skipped)
    position.history.append(row)
    run.fabric.log_dict({k: v for k, v in row.items() if k != "step"}, step=int(row["step"]))
    position.records, earned = position.records.update(validation.report.hm, validation.loss)
    save_epoch(run, validation, earned)
    position.epoch, position.step, position.losses = position.epoch + 1, 0, EpochLosses()


def _shall_stop(run: Run, stop: StopRequest) -> bool:
    """Whether to stop after this step; several processes agree, now and then."""
    if run.fabric.world_size == 1:
        return stop.came
    if run.position.step % run.config.run.log_every:
        return False
    asked = torch.tensor(float(stop.came), device=run.device)
    return bool(cast(Tensor, run.fabric.all_reduce(asked, reduce_op="sum")) > 0)


def _has_ended(run: Run) -> bool:
    limits, position = run.config.optimizer, run.position
    return position.epoch >= limits.epochs or position.records.idle_epochs >= limits.patience


def _line(run: Run) -> str:
    row = run.position.history[-1]
    return (
        f"epoch {row['epoch'] + 1:.0f}: train loss {row['train_loss']:.4f}, "
        f"val loss {row['val_loss']:.4f}, HM-F1 {row['hm']:.4f} "
        f"(micro {row['micro']:.4f}, macro {row['macro']:.4f}), "
        f"{row['images_per_second']:.0f} images/s, waiting {row['waiting_share']:.0%}"
    )
