"""A whole run: from a config to trained weights, scores and tables in the run folder."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from torch import Tensor

from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.config_values import read_toml, to_dict
from visual_taxonomy.data.label_reading import reading_of
from visual_taxonomy.data.table import Table
from visual_taxonomy.device import explain_precision, pick_precision
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import Report
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.training.data_record import record, refuse_changes
from visual_taxonomy.training.decisions import settle_decisions
from visual_taxonomy.training.final_model import check_decision_rows, settle_final
from visual_taxonomy.training.optimizer import MakeOptimizer, adamw
from visual_taxonomy.training.parallel import Parallel, launch
from visual_taxonomy.training.preparation import (
    CLASS_COUNTS_NAME,
    Split,
    Tables,
    choose_split,
    cut_table,
    named_class_counts,
    read_labelled_table,
    settle_rare_labels,
    with_rare_labels,
    write_rows,
)
from visual_taxonomy.training.records import RECOMMENDED, divergence
from visual_taxonomy.training.row_files import Rows, add_files
from visual_taxonomy.training.run_folder import CONFIG_NAME, RunFolder, claim
from visual_taxonomy.training.run_witnesses import RunWitnesses
from visual_taxonomy.training.setup import Hooks, as_published, build_trainer
from visual_taxonomy.training.teacher import Asking, check_teachers, soft_labels
from visual_taxonomy.training.trackers import Trackers
from visual_taxonomy.training.trainer import Callback, Trainer


class Result(NamedTuple):
    """What a finished run leaves."""

    folder: Path
    report: Report | None
    """Scores of the recommended checkpoint on the validation rows; None without any (`final`)."""
    epoch: int
    """The epoch of that checkpoint, from 0."""
    validation: Table
    """The rows it was scored on."""
    test: Table | None
    """Rows that nothing was chosen by; not scored yet."""
    history: list[dict[str, float]]
    """A row of metrics.csv for each epoch."""
    class_counts: dict[str, list[int]]
    """Task name -> training labels of each class."""
    decision_figures: Mapping[str, Any]
    """What the decision of that checkpoint is worth, cross-fitted; empty without one."""
    cosines: Tensor
    """[T, T] mean cosines of the tasks' gradients; NaN for tasks that never met."""


def train(
    config: TrainConfig,
    reporter: Reporter = SILENT,
    on_end: Callable[[Result], None] | None = None,
    *,
    callbacks: Sequence[Callback] = (),
    make_optimizer: MakeOptimizer = adamw,
    groups_path: Path | None = None,
    settles: bool = True,
) -> Result | None:
    """Train a model and write its checkpoints into the run folder.

    Args:
        config: The run.
        reporter: Shows notes and progress.
        on_end: Called with the result while the run folder is still held.
        callbacks: Called after each epoch, in order, on every process.
        make_optimizer: Makes the optimizer of parameter groups, each with its rate and decay.
        groups_path: split.csv of another run on the same rows; its near-duplicate groups are taken
            over, so that the images need not be compared again.
        settles: Whether checkpoints get their decisions at the end, for who will use them.

    Returns:
        The result; None on the processes other than the first, and unless `settles`.

    Raises:
        InputError: Something given cannot be used, or a loss is not finite.
        Interrupted: Ctrl-C or SIGTERM came; the run can be resumed.
    """
    if config.data.folds is not None and config.data.fold is None:
        raise InputError(
            f"`folds` {config.data.folds} needs `fold`, the one to validate on; "
            "`vtax cross-validate` trains all of them"
        )
    config = with_rare_labels(as_published(config, reporter))
    parallel = launch(config.run)
    # Before the folder is claimed: a package that is missing is said at once.
    trackers = Trackers(config.run) if parallel.is_first else None
    if not parallel.is_first:
        reporter = SILENT
    with ExitStack() as held:
        # Only the first process holds it; the copies of the others say where it is, no more.
        folder = parallel.on_first(lambda: held.enter_context(claim(config)))
        log = _no_log if trackers is None else trackers.log
        hooks = Hooks(callbacks, make_optimizer, on_saved=folder.settle, log=log)
        trainer = _start(config, parallel, folder, reporter, hooks, groups_path)
        if trackers is None:
            trainer.fit()
            return None
        with trackers.run(to_dict(trainer.config)):
            trainer.fit()
            if not settles:
                return None
            result = _result(trainer)
            if on_end is not None:
                on_end(result)
    return result


def _no_log(values: Mapping[str, float], step: int) -> None:
    """Of the processes other than the first."""


def _start(
    config: TrainConfig,
    parallel: Parallel,
    folder: RunFolder,
    reporter: Reporter,
    hooks: Hooks,
    groups_path: Path | None,
) -> Trainer:
    """Build everything; only then touch what is in the run folder."""
    config = _resolve_precision(config, parallel, reporter)
    parallel.seed(config.data.random_state)
    rows = _read_rows(config, parallel, reporter)
    # Before anything else: what changes from here on, the next run is to notice.
    seen = record(rows.table) if parallel.is_first else pl.DataFrame()
    split = parallel.on_first(
        lambda: _choose_split(config, folder, rows, seen, reporter, groups_path)
    )
    tables = cut_table(rows.table, split, config.data)
    check_decision_rows(config.data.decision_from, tables.taxonomy)
    check_teachers(config, tables.taxonomy)
    reporter.note(count_rows(tables))
    trainer = build_trainer(config, parallel, tables, reporter, hooks)
    if config.run.resume:
        _restore(trainer)

    def write() -> None:
        absent = write_rows(folder.path, seen, split, tables.training)
        if absent:
            path = folder.path / CLASS_COUNTS_NAME
            reporter.note(f"note: {absent} classes have no training label; counts: {path}")

    parallel.on_first(lambda: folder.begin(config, write))
    if not config.objective.teacher:
        return trainer
    # In the folder, where a killed run leaves what it has asked.
    asking = Asking(config, tables, trainer.objective, parallel, reporter)
    return replace(trainer, teacher=soft_labels(asking))


def _result(trainer: Trainer) -> Result:
    """What the run leaves, after a warning of what went wrong."""
    recorder, folder, data = trainer.recorder, trainer.saver.folder, trainer.config.data
    if not data.final:
        trainer.saver.warn_of_missing()
    tables = trainer.tables
    run_witnesses = RunWitnesses(tables.training, tables.validation, data.text_columns or ())
    diverged = divergence(recorder.history)
    if diverged is not None:
        warnings.warn(diverged, stacklevel=1)
    if data.final:
        best = settle_final(folder, data.decision_from, run_witnesses)
    else:
        settle_decisions(folder, run_witnesses)
        best = read_checkpoint(folder / f"best_{RECOMMENDED}.pt")
    return Result(
        folder,
        None if data.final else Report.from_dict(best.metrics),
        best.epoch,
        trainer.tables.validation,
        trainer.tables.test,
        recorder.history,
        named_class_counts(trainer.tables.training),
        best.decision_figures,
        recorder.diagnostics.cosines(),
    )


def _resolve_precision(config: TrainConfig, parallel: Parallel, reporter: Reporter) -> TrainConfig:
    """Settle what "auto" means once: for all processes, and for the runs that resume this one."""
    kept = config.run.folder / CONFIG_NAME
    precision = config.run.precision
    if precision == "auto" and config.run.resume and kept.exists():
        precision = read_toml(TrainConfig, kept).run.precision
    picked = parallel.broadcast(pick_precision(precision, parallel.device))
    if note := explain_precision(precision, parallel.device):
        reporter.note(note)
    return replace(config, run=replace(config.run, precision=picked))


def _read_rows(config: TrainConfig, parallel: Parallel, reporter: Reporter) -> Rows:
    with parallel.first_goes_first():
        return read_rows(config.data, reporter)


def read_rows(data: DataConfig, reporter: Reporter = SILENT) -> Rows:
    """Read all labelled rows that a run is about.

    Raises:
        InputError: A row is wrong.
    """
    # Before the files of validation and test rows, which count nothing themselves.
    data = settle_rare_labels(data)
    reading = reading_of(data)
    table = read_labelled_table(
        *(data.csv_path, data.img_dir, data.attributes_config, data.parq_path),
        reading,
        reporter.note,
    )
    return add_files(table, data, reporter.note)


def _choose_split(
    config: TrainConfig,
    folder: RunFolder,
    rows: Rows,
    seen: pl.DataFrame,
    reporter: Reporter,
    groups_path: Path | None,
) -> Split:
    """What each row is for; a run that is resumed keeps its rows and their parts."""
    is_accepted = config.run.accept_changed_data
    if config.run.resume:
        refuse_changes(folder.path, seen, is_accepted)
    with reporter.progress("comparing images") as advance:
        return choose_split(rows, config.data, folder.split, advance, is_accepted, groups_path)


def count_rows(tables: Tables) -> str:
    """One line: how many rows are for what, and how many categories and attributes they have."""
    test = f", {len(tables.test)} to test" if tables.test is not None else ""
    return (
        f"{len(tables.training)} rows to train on, {len(tables.validation)} to validate{test}, "
        f"{len(tables.taxonomy.categories)} categories, {len(tables.taxonomy.tasks)} attributes"
    )


def _restore(trainer: Trainer) -> None:
    """Go on from last.pt, and say from where."""
    source, folder = trainer.source, trainer.saver.folder
    if trainer.restore():
        trainer.reporter.note(f"resuming at epoch {source.epoch + 1}, step {source.step}")
    # Of changed data the list is out of date: an image on it may have been mended.
    if not trainer.config.run.accept_changed_data:
        trainer.recorder.unreadable.load(trainer.tables_by_part(), folder)
