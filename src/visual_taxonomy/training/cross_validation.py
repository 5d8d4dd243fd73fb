"""Cross-validation: a run for each fold, and what they make of the rows they did not see."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import read_toml, to_toml
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut, pool
from visual_taxonomy.errors import InputError
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.training.data_record import record, refuse_changes
from visual_taxonomy.training.parallel import launch
from visual_taxonomy.training.preparation import with_rare_labels
from visual_taxonomy.training.run_folder import (
    CONFIG_NAME,
    HELD_OUT_LAST_NAME,
    SPLIT_NAME,
    check_unchanged,
)
from visual_taxonomy.training.setup import as_published
from visual_taxonomy.training.train import read_rows, train

FOLDS = 5
"""Folds where none are asked for, the number that most papers report."""


def cross_validate(config: TrainConfig, reporter: Reporter = SILENT) -> HeldOut | None:
    """Train a model for each fold, and pool what each makes of the fold it did not see.

    The runs are `fold_0`, `fold_1`, ... in the run folder. Each takes all its epochs, and its last
    epoch is the one that is pooled: no epoch is chosen by the rows it is judged on. The pooled
    predictions are written as held_out.npz. Called again, it resumes where it was stopped.

    Args:
        config: As for `train`; `data.folds` of None means `FOLDS`.
        reporter: Shows notes and progress.

    Returns:
        The pooled predictions; None on the processes other than the first.

    Raises:
        InputError: Something given cannot be used, or the folder holds another run.
        Interrupted: Ctrl-C or SIGTERM came; call it again to resume.
    """
    config = with_rare_labels(as_published(config, reporter))
    runs = fold_configs(config)
    parallel = launch(config.run)
    if not parallel.is_first:
        reporter = SILENT
    # One process decides: what the others see on the disk depends on when they look.
    todo = parallel.on_first(lambda: _unfinished(config, runs))
    for number, resume in todo.items():
        reporter.note(f"fold {number + 1} of {len(runs)}: {runs[number].run.folder}")
        run = replace(runs[number], run=replace(runs[number].run, resume=resume))
        # The folds have the same rows, so images are compared once, by the first run. Asked in each
        # turn, since it writes the file on its way.
        groups = runs[0].run.folder / SPLIT_NAME
        train(run, reporter, groups_path=groups if groups.exists() else None)
    if not parallel.is_first:
        return None
    # From the files, not from what `train` gives: folds of an earlier call are pooled as well.
    pooled = pool([HeldOut.read(run.run.folder / HELD_OUT_LAST_NAME) for run in runs])
    pooled.write(config.run.folder / HELD_OUT_NAME)
    return pooled


def fold_configs(config: TrainConfig) -> list[TrainConfig]:
    """The run of each fold.

    Raises:
        InputError: A setting makes no sense for a cross-validation.
    """
    if config.data.fold is not None:
        raise InputError("`fold` is for `vtax train`; `vtax cross-validate` trains all folds")
    if config.data.final:
        raise InputError("`final` is for `vtax train`; `vtax cross-validate` holds out each fold")
    if config.run.overwrite:
        raise InputError(
            "`overwrite`: `vtax cross-validate` replaces nothing; choose another `run_name`, or "
            f"delete {config.run.folder}"
        )
    folds = config.data.folds or FOLDS
    folder = config.run.folder
    # The rows of a fold must not decide when its training stops.
    optimizer = replace(config.optimizer, patience=config.optimizer.epochs)
    return [
        replace(
            config,
            data=replace(config.data, folds=folds, fold=fold),
            optimizer=optimizer,
            run=replace(config.run, save_dir=folder, run_name=f"fold_{fold}", resume=False),
        )
        for fold in range(folds)
    ]


def _unfinished(config: TrainConfig, runs: Sequence[TrainConfig]) -> dict[int, bool]:
    """The folds that are left, and whether each was begun; keeps the config of them all."""
    folder = config.run.folder
    # Without what may differ from one call of the same cross-validation to the next.
    config = replace(
        config,
        data=replace(config.data, folds=len(runs)),
        run=replace(config.run, resume=False, accept_changed_data=False),
    )
    kept = folder / CONFIG_NAME
    if kept.exists():
        remedy = "give the settings it was started with, or choose another `run_name`"
        check_unchanged(config, read_toml(TrainConfig, kept), kept, remedy)
    finished = [number for number, run in enumerate(runs) if _is_finished(run.run.folder)]
    if finished:
        seen = record(read_rows(config.data).table)
        for number in finished:
            _check_finished(runs[number], seen)
    # After the checks: a call that is refused leaves the config of the folds that are there.
    write_text(kept, to_toml(config))
    return {
        # The last file of a start: without it there is nothing that could be resumed.
        number: (run.run.folder / CONFIG_NAME).exists()
        for number, run in enumerate(runs)
        if number not in finished
    }


def _is_finished(folder: Path) -> bool:
    # Of two moments: the last epoch writes the one, settling the decisions at the end the other.
    return all((folder / name).exists() for name in (HELD_OUT_LAST_NAME, HELD_OUT_NAME))


def _check_finished(run: TrainConfig, seen: pl.DataFrame) -> None:
    """What a run that is resumed checks itself: that settings and rows are still the same."""
    kept = run.run.folder / CONFIG_NAME
    check_unchanged(run, read_toml(TrainConfig, kept), kept, "choose another `run_name`")
    refuse_changes(run.run.folder, seen, run.run.accept_changed_data)
