"""A whole run: from a config to trained weights, scores and tables in the run folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from visual_taxonomy.config import TrainConfig, read_toml
from visual_taxonomy.data.table import Table
from visual_taxonomy.device import pick_precision
from visual_taxonomy.evaluation import Report
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.training.history import build_loggers
from visual_taxonomy.training.optimizer import MakeOptimizer, adamw
from visual_taxonomy.training.parallel import Parallel, launch
from visual_taxonomy.training.preparation import (
    CLASS_COUNTS_NAME,
    Tables,
    named_class_counts,
    read_labelled_table,
    split_table,
    write_class_counts,
)
from visual_taxonomy.training.saving import CONFIG_NAME, LAST_NAME, open_folder
from visual_taxonomy.training.setup import build_trainer
from visual_taxonomy.training.trainer import Callback, Trainer


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


def train(
    config: TrainConfig,
    reporter: Reporter = SILENT,
    *,
    callbacks: Sequence[Callback] = (),
    make_optimizer: MakeOptimizer = adamw,
) -> Result | None:
    """Train a model and write its checkpoints into the run folder.

    Args:
        config: The run.
        reporter: Shows notes and progress.
        callbacks: Called after each epoch, in order, on every process.
        make_optimizer: Makes the optimizer of parameter groups, each with its rate and decay.

    Returns:
        The result; None on the processes other than the first.

    Raises:
        InputError: Something given cannot be used, or a loss is not finite.
        Interrupted: Ctrl-C or SIGTERM came; the run can be resumed.
    """
    parallel = launch(config.run, build_loggers(config.run))
    if not parallel.is_first:
        reporter = SILENT
    config = _resolve_precision(config, parallel)
    parallel.seed(config.data.random_state)
    tables = _read_tables(config, parallel, reporter)
    trainer = build_trainer(
        config, parallel, tables, reporter, callbacks=callbacks, make_optimizer=make_optimizer
    )
    if config.run.resume:
        _restore(trainer)
    validation = trainer.fit()
    if not parallel.is_first:
        return None
    trainer.saver.warn_of_missing()
    return Result(
        config.run.folder,
        validation.report,
        tables.validation,
        trainer.recorder.history,
        named_class_counts(tables.training),
        trainer.recorder.diagnostics.cosines(),
    )


def _resolve_precision(config: TrainConfig, parallel: Parallel) -> TrainConfig:
    """Settle what "auto" means once: for all processes, and for the runs that resume this one."""
    kept = config.run.folder / CONFIG_NAME
    precision = config.run.precision
    if precision == "auto" and config.run.resume and kept.exists():
        precision = read_toml(TrainConfig, kept).run.precision
    picked = parallel.broadcast(pick_precision(precision, parallel.device))
    return replace(config, run=replace(config.run, precision=picked))


def _read_tables(config: TrainConfig, parallel: Parallel, reporter: Reporter) -> Tables:
    """Read on the first process first: it draws the split, the others read it."""
    data = config.data
    with parallel.first_goes_first():
        table = read_labelled_table(
            data.csv_path, data.img_dir, data.attributes_config, data.parq_path
        )
        if parallel.is_first:
            open_folder(config)
        with reporter.progress("comparing pictures") as advance:
            tables = split_table(table, data, config.run.folder, advance)
    reporter.note(
        f"{len(tables.training)} rows to train on, {len(tables.validation)} to validate, "
        f"{len(tables.taxonomy.categories)} categories, {len(tables.taxonomy.tasks)} attributes"
    )
    if parallel.is_first:
        path = config.run.folder / CLASS_COUNTS_NAME
        absent = write_class_counts(path, tables.training)
        if absent:
            reporter.note(f"note: {absent} classes have no training label; counts: {path}")
    return tables


def _restore(trainer: Trainer) -> None:
    """Go on from last.pt, and say from where."""
    if trainer.restore():
        source = trainer.source
        text = f"going on from epoch {source.epoch + 1}, step {source.step}"
    else:
        last = trainer.saver.folder / LAST_NAME
        text = f"{last} is not there yet: starting from the beginning"
    trainer.reporter.note(text)
