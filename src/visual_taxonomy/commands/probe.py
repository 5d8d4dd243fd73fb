"""`vtax probe`."""

from typing import TYPE_CHECKING

from rich.table import Table

from visual_taxonomy.commands.decision_text import gain_line
from visual_taxonomy.commands.report import report_at_end
from visual_taxonomy.commands.terminal import console, terminal
from visual_taxonomy.commands.train import name_killed_loader, report_test
from visual_taxonomy.config.probe import ProbeConfig

if TYPE_CHECKING:
    from visual_taxonomy.training.probing.learning_curve import LearningCurve
    from visual_taxonomy.training.probing.probe import ProbeResult
    from visual_taxonomy.training.probing.record import ProbeRecord

_SHOWN = 10
"""Attributes of the learning curve that are printed; the CSV and the report have all."""


def probe(config: ProbeConfig) -> int:
    """Fit simple methods to the features of a frozen backbone: baselines in minutes.

    Majority class, kNN vote, linear probes (plain, balanced, prior-corrected). The run folder has a
    checkpoint with the linear probe; the reports of runs with the same rows show all lines.
    The backbone is frozen and the heads are linear, whatever the flags of the model say.
    """
    from visual_taxonomy.training.probing.probe import probe as run
    from visual_taxonomy.training.probing.probe import training_config

    training = training_config(config)
    with name_killed_loader(training, lambda: "start again"):
        result = run(config, terminal)
    console.print(line_table(result.record))
    if result.record.curve is not None:
        console.print(gain_table(result.record.curve))
    if result.checkpoint.decision_figures:
        console.print(gain_line(result.checkpoint.decision_figures))
    _finish(result)
    if result.tables.test is not None:
        counts = result.checkpoint.class_counts
        report_test(result.tables.test, counts, result.path, training)
    report_at_end(result.folder)
    console.print(f"use {result.path}; tables are in {result.folder}")
    return 0


def line_table(record: "ProbeRecord") -> Table:
    """The lines with the 95 % intervals of their HM, for the terminal."""
    columns = ("line", "HM", "95 % interval", "micro", "macro")
    table = Table(*columns, title="Probes on the validation rows", title_justify="left")
    for name, line in record.lines.items():
        hm, low, high = line.overall.hm
        micro, macro = line.overall.micro.value, line.overall.macro.value
        table.add_row(
            name, f"{hm:.3f}", f"{low:.3f} ... {high:.3f}", f"{micro:.3f}", f"{macro:.3f}"
        )
    return table


def gain_table(curve: "LearningCurve") -> Table:
    """The attributes that gain most from more labels, for the terminal."""
    from visual_taxonomy.training.probing.learning_curve import MORE

    columns = ("attribute", "labels", "HM", f"gain from {MORE} more", "95 % interval")
    table = Table(*columns, title="Where labels pay most", title_justify="left")
    for name, points, (gain, low, high) in curve.curves[:_SHOWN]:
        labels, hm = points[-1].labels, points[-1].hm.value
        table.add_row(
            name, f"{labels:,.0f}", f"{hm:.3f}", f"{gain:+.3f}", f"{low:+.3f} ... {high:+.3f}"
        )
    return table


def _finish(result: "ProbeResult") -> None:
    from visual_taxonomy.evaluation import Report, majority_report
    from visual_taxonomy.reporting.scores import plot_scores

    rows, counts = result.tables.validation, result.checkpoint.class_counts
    baseline = majority_report(rows.taxonomy, counts, rows.targets, rows.categories)
    report = Report.from_dict(result.checkpoint.metrics)
    plot_scores(report, baseline, result.folder / "scores.png")
    times = ", ".join(f"{step} {seconds:.1f}" for step, seconds in result.seconds.items())
    console.print(f"seconds: {times}")
