"""A whole probe: from a config to a run folder with scores, a checkpoint and baselines."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint
from visual_taxonomy.config import OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.config.probe import ProbeConfig, ProbeSettings
from visual_taxonomy.data.split import TRAIN as SPLIT_TRAIN
from visual_taxonomy.data.split import VALIDATION as SPLIT_VALIDATION
from visual_taxonomy.decision.cross_fitted import CHOSEN
from visual_taxonomy.decision.intervals import Interval, ScoreIntervals, score_intervals
from visual_taxonomy.device import pick_precision
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.training.data_record import record
from visual_taxonomy.training.decisions import settle_decisions
from visual_taxonomy.training.history import write_metrics
from visual_taxonomy.training.parallel import Parallel, launch
from visual_taxonomy.training.preparation import (
    Split,
    Tables,
    choose_split,
    cut_table,
    with_rare_labels,
    write_rows,
)
from visual_taxonomy.training.probing.encoded import Encoded
from visual_taxonomy.training.probing.features import (
    encoded_parts,
    frozen_classifier,
    list_unreadable,
)
from visual_taxonomy.training.probing.learning_curve import (
    LearningCurve,
    fit_parts,
    learning_curve,
)
from visual_taxonomy.training.probing.linear import LinearHead, fit_linear_heads
from visual_taxonomy.training.probing.lines import (
    DECIDED,
    answers_of_lines,
    curve_answers,
)
from visual_taxonomy.training.probing.outcome import (
    install,
    validation_of,
    write_checkpoint,
    write_curve,
)
from visual_taxonomy.training.probing.record import (
    PROBE_NAME,
    Line,
    ProbeRecord,
    digest_of_rows,
)
from visual_taxonomy.training.records import RECOMMENDED
from visual_taxonomy.training.run_folder import RunFolder, claim
from visual_taxonomy.training.run_witnesses import RunWitnesses
from visual_taxonomy.training.setup import as_published
from visual_taxonomy.training.train import count_rows, read_rows
from visual_taxonomy.training.validation import Validation


class ProbeResult(NamedTuple):
    """What a probe leaves."""

    folder: Path
    record: ProbeRecord
    """Its lines, and the learning curve."""
    checkpoint: Checkpoint
    """best_score.pt: the linear probe with its decision."""
    tables: Tables
    seconds: dict[str, float]
    """Step -> seconds it took."""

    @property
    def path(self) -> Path:
        """The file of the checkpoint."""
        return self.folder / f"best_{RECOMMENDED}.pt"


class _Stopwatch:
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, step: str) -> None:
        """Say that a step has ended."""
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now


def probe(config: ProbeConfig, reporter: Reporter = SILENT) -> ProbeResult:
    """Fit simple methods to the features of a frozen backbone, and write a run folder.

    The folder holds what that of a training holds: split, held-out predictions, scores, and
    best_score.pt, a classifier whose heads are the linear probes; and probe.json, the lines that
    stand as baselines in the reports of runs with the same rows.

    Args:
        config: The probe.
        reporter: Shows notes and progress.

    Raises:
        InputError: Something given cannot be used, or no validation row has a label.
    """
    run = with_rare_labels(as_published(training_config(config), reporter))
    parallel = launch(run.run)
    with claim(run) as folder:
        precision = pick_precision(run.run.precision, parallel.device)
        run = replace(run, run=replace(run.run, precision=precision))
        return _probe_into(folder, config.probe, run, parallel, reporter)


def training_config(config: ProbeConfig) -> TrainConfig:
    """The config of a training of plain linear heads on the same rows and features."""
    settings = config.probe
    run = RunConfig(
        save_dir=settings.save_dir,
        run_name=settings.run_name,
        overwrite=settings.overwrite,
        precision=settings.precision,
        accelerator=settings.accelerator,
    )
    optimizer = OptimizerConfig(batch_size=settings.batch_size)
    return TrainConfig(config.data, config.frozen_model, optimizer=optimizer, run=run)


def _probe_into(
    folder: RunFolder,
    settings: ProbeSettings,
    run: TrainConfig,
    parallel: Parallel,
    reporter: Reporter,
) -> ProbeResult:
    """Compute everything; only then touch what is in the run folder."""
    watch = _Stopwatch()
    # A backbone with random weights is the same one in every probe, and finds its cached features.
    parallel.seed(run.data.random_state)
    rows = _rows(run, reporter)
    model = frozen_classifier(rows.tables.taxonomy, run, reporter).to(parallel.device)
    watch.stop("rows and split")
    parts = encoded_parts(run, rows.tables, model, parallel, reporter)
    watch.stop("features")
    with reporter.progress("fitting the linear probes"):
        heads = fit_linear_heads(rows.tables.taxonomy, parts[0], settings.c)
    install(model, heads)
    validation = validation_of(rows.tables, parts[1], heads)
    watch.stop("linear probes")
    lines = _lines(rows, parts, heads, settings, reporter)
    watch.stop("other lines")
    curve = _curve(run, rows, parts, settings, reporter) if settings.learning_curve else None
    watch.stop("learning curve")
    folder.begin(run, lambda: _write_rows(folder.path, rows))
    write_checkpoint(run, rows.tables, model, validation)
    folder.settle()
    list_unreadable(parts, rows.tables, parallel, folder.path)
    run_witnesses = RunWitnesses(
        rows.tables.training, rows.tables.validation, run.data.text_columns or ()
    )
    settle_decisions(folder.path, run_witnesses)
    checkpoint = read_checkpoint(folder.path / f"best_{RECOMMENDED}.pt")
    watch.stop("decision")
    digest = digest_of_rows(rows.tables.held_out(validation.probabilities))
    numbers = settings.c, settings.neighbours
    lines |= _decided(checkpoint)
    found = ProbeRecord(digest, run.model.backbone, *numbers, lines, curve)
    _write(folder.path, found, validation, watch.seconds)
    return ProbeResult(folder.path, found, checkpoint, rows.tables, watch.seconds)


class _Rows(NamedTuple):
    seen: pl.DataFrame
    split: Split
    tables: Tables
    groups: np.ndarray
    """Near-duplicate groups of all rows."""


def _rows(run: TrainConfig, reporter: Reporter) -> _Rows:
    rows = read_rows(run.data, reporter)
    seen = record(rows.table)
    with reporter.progress("comparing images") as advance:
        split = choose_split(rows, run.data, None, advance)
    tables = cut_table(rows.table, split, run.data)
    reporter.note(count_rows(tables))
    groups = np.arange(len(rows.table)) if split.groups is None else split.groups
    return _Rows(seen, split, tables, groups)


def _write_rows(folder: Path, rows: _Rows) -> None:
    write_rows(folder, rows.seen, rows.split, rows.tables.training)


def _lines(
    rows: _Rows,
    parts: tuple[Encoded, Encoded],
    heads: Sequence[LinearHead],
    settings: ProbeSettings,
    reporter: Reporter,
) -> dict[str, Line]:
    with reporter.progress("fitting the other lines"):
        answers = answers_of_lines(rows.tables, *parts, heads, settings.c, settings.neighbours)
    table, groups = rows.tables.validation, rows.groups[rows.split.parts == SPLIT_VALIDATION]
    targets = (table.targets, table.categories, groups)
    return {
        name: Line.of(score_intervals(rows.tables.taxonomy, classes, *targets))
        for name, classes in answers.items()
    }


def _decided(checkpoint: Checkpoint) -> dict[str, Line]:
    """The line of the decision, whose figures are cross-fitted; none without a decision."""
    if not checkpoint.decision_figures:
        return {}
    scores = checkpoint.decision_figures["scores"][CHOSEN]
    overall = ScoreIntervals(*(Interval(*scores[name]) for name in ScoreIntervals._fields))
    return {DECIDED: Line(overall, {})}


def _curve(
    run: TrainConfig,
    rows: _Rows,
    parts: tuple[Encoded, Encoded],
    settings: ProbeSettings,
    reporter: Reporter,
) -> LearningCurve:
    training, asked = parts
    taxonomy, split = rows.tables.taxonomy, rows.split.parts

    def answer(some: Encoded) -> tuple[np.ndarray, np.ndarray]:
        return curve_answers(taxonomy, some, asked, settings.c)

    of_training, of_validation = (
        rows.groups[split == part] for part in (SPLIT_TRAIN, SPLIT_VALIDATION)
    )
    with reporter.progress("learning curve") as advance:
        fitted = fit_parts(training, of_training, run.data.random_state, answer, advance)
    return learning_curve(taxonomy, fitted, asked.targets, asked.categories, of_validation)


def _write(
    folder: Path, found: ProbeRecord, validation: Validation, seconds: dict[str, float]
) -> None:
    found.write(folder / PROBE_NAME)
    if found.curve is not None:
        write_curve(folder, found.curve)
    report = validation.report
    scores = {"hm": report.hm, "micro": report.micro, "macro": report.macro}
    row = {"epoch": 0, "val_loss": validation.loss, **scores, "seconds": sum(seconds.values())}
    write_metrics(folder, [row])
