"""`vtax train`."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from visual_taxonomy.commands.report import report_at_end
from visual_taxonomy.commands.terminal import EXIT_INTERRUPTED, console, errors, terminal
from visual_taxonomy.config import InferenceConfig, TrainConfig
from visual_taxonomy.errors import SystemLimitError

if TYPE_CHECKING:
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.training.train import Result

TEST_METRICS_NAME = "test_detailed_metrics.json"


def train(config: TrainConfig) -> int:
    """Train a model."""
    from visual_taxonomy.training.train import train as train_model
    from visual_taxonomy.training.trainer import Interrupted

    folder = config.run.folder
    allow_own_modules()
    try:
        with name_killed_loader(config, lambda: _again(folder)):
            train_model(config, terminal, lambda result: _report(result, config))
    except Interrupted:
        errors.print(f"stopped; resume with: {_resume(folder)}")
        return EXIT_INTERRUPTED
    return 0


def allow_own_modules() -> None:
    """Let the working directory name modules, for `--loss_type my_module:MyLoss`.

    Last, so that no file here hides an installed package; in training only, so that no checkpoint
    from elsewhere can name a file that lies here.
    """
    # The empty name means the working directory, too; Python may have put it there.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


@contextmanager
def name_killed_loader(config: TrainConfig, again: Callable[[], str]) -> Iterator[None]:
    """A block in which the death of a process that loads images is said in plain words.

    Args:
        config: The run.
        again: Says how to go on.

    Raises:
        SystemLimitError: One has died.
    """
    from visual_taxonomy.data.loading_processes import reason_of_death

    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:
        reason = reason_of_death(error)
        if reason is None:
            raise
        raise SystemLimitError(_of_killed_loader(reason, config, again())) from error


def _report(result: "Result", config: TrainConfig) -> None:
    """Plots and the closing lines, all of the recommended checkpoint."""
    if result.report is None:
        _report_final(result, config)
        return
    from visual_taxonomy.commands.decision_text import gain_line, words_lines
    from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
    from visual_taxonomy.evaluation import majority_report
    from visual_taxonomy.reporting.conflicts import has_pairs, plot_conflicts
    from visual_taxonomy.reporting.curves import plot_training
    from visual_taxonomy.reporting.scores import plot_scores, score_table
    from visual_taxonomy.training.records import RECOMMENDED
    from visual_taxonomy.training.unreadable import UNREADABLE_NAME

    table, folder = result.validation, result.folder
    baseline = majority_report(table.taxonomy, result.class_counts, table.targets, table.categories)
    plot_training(result.history, folder / "training.png")
    plot_scores(result.report, baseline, folder / "scores.png")
    cosines = result.cosines.numpy()
    if has_pairs(cosines):
        plot_conflicts(cosines, table.taxonomy.tasks, folder / "conflicts.png")
    console.print(score_table(result.report, baseline))
    best = folder / f"best_{RECOMMENDED}.pt"
    console.print(
        f"these are the scores of {best} on the validation rows: epoch {result.epoch + 1}, the one "
        "with the highest HM-F1"
    )
    if result.decision_figures:
        console.print(gain_line(result.decision_figures))
    if config.data.text_columns:
        for line in words_lines(HeldOut.read(folder / HELD_OUT_NAME)):
            console.print(line)
    if result.test is not None:
        report_test(result.test, result.class_counts, best, config)
    report_at_end(folder)
    if (folder / UNREADABLE_NAME).exists():
        console.print(f"images that could not be read: {folder / UNREADABLE_NAME}")
    console.print(f"use {best}; tables and plots are in {folder}")


def _report_final(result: "Result", config: TrainConfig) -> None:
    """The closing lines of a run without validation rows, which has no scores to plot."""
    from visual_taxonomy.training.run_folder import FINAL_NAME

    path = result.folder / FINAL_NAME
    console.print(
        f"trained on all rows for {result.epoch + 1} epochs; without "
        "validation rows there are no scores and no plots: those of `vtax cross-validate` with the "
        "same settings are the estimate"
    )
    if config.data.decision_from is None:
        console.print(
            "its answers are its most probable classes; for a decision give --decision_from "
            "RUN/held_out.npz of the cross-validation, or fit one with `vtax calibrate`"
        )
    if result.test is not None:
        report_test(result.test, result.class_counts, path, config)
    console.print(f"use {path}")


def report_test(
    table: "Table",
    class_counts: Mapping[str, Sequence[int]],
    checkpoint: Path,
    config: TrainConfig,
) -> None:
    """Score the rows that no choice depended on.

    Args:
        table: The rows.
        class_counts: Task name -> training labels of each class, for the baseline.
        checkpoint: Of the model, in its run folder.
        config: The run.
    """
    import json

    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.evaluation import evaluate, majority_report
    from visual_taxonomy.inference.prediction import Predictor
    from visual_taxonomy.reporting.scores import score_table

    if (table.targets < 0).all():
        console.print(f"none of the {len(table)} test rows has a label: nothing to score")
        return
    settings = InferenceConfig(
        engine="torch",
        batch_size=config.optimizer.batch_size,
        workers=config.data.val_workers,
        precision=config.run.precision,
        accelerator=config.run.accelerator,
    )
    predictor = Predictor.load(checkpoint, settings)
    with terminal.progress("predicting the test rows", len(table)) as advance:
        predicted, problems = predictor.predict_classes(table, advance)
    report = evaluate(table.taxonomy, predicted, table.targets, table.categories)
    baseline = majority_report(table.taxonomy, class_counts, table.targets, table.categories)
    path = checkpoint.parent / TEST_METRICS_NAME
    write_text(path, json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n")
    console.print(score_table(report, baseline))
    console.print(f"its scores on {len(table)} test rows, which no choice depended on: {path}")
    if problems:
        errors.print(f"{len(problems)} test images could not be read; their labels count as missed")


def _resume(folder: Path) -> str:
    return f"vtax train --config {folder / 'config.toml'} --resume"


def _again(folder: Path) -> str:
    has_saved = (folder / "last.pt").exists()
    return f"resume: {_resume(folder)}" if has_saved else "start again (nothing was saved yet)"


def _of_killed_loader(reason: str, config: TrainConfig, again: str) -> str:
    data = config.data
    return (
        f"a process that loads images has ended ({reason}), most likely because "
        f"the system ran out of memory and killed it; lower --train_workers (now "
        f"{data.train_workers}) and --val_workers (now {data.val_workers}), then {again}"
    )
