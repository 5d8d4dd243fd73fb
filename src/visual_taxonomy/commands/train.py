"""`vtax train`."""

from visual_taxonomy.commands.terminal import EXIT_INTERRUPTED, console, errors
from visual_taxonomy.config import TrainConfig


def train(config: TrainConfig) -> int:
    """Train a model."""
    from visual_taxonomy.evaluation import majority_report
    from visual_taxonomy.reporting.conflicts import has_pairs, plot_conflicts
    from visual_taxonomy.reporting.curves import plot_training
    from visual_taxonomy.reporting.scores import plot_scores, score_table
    from visual_taxonomy.training.loop import Interrupted
    from visual_taxonomy.training.loop import train as train_model

    try:
        result = train_model(config, console)
    except Interrupted:
        folder = config.run.folder
        errors.print(f"stopped; go on with: vtax train --config {folder / 'config.toml'} --resume")
        return EXIT_INTERRUPTED
    if result is None:
        return 0
    table = result.validation
    baseline = majority_report(table.taxonomy, result.class_counts, table.targets, table.categories)
    plot_training(result.history, result.folder / "training.png")
    plot_scores(result.report, baseline, result.folder / "scores.png")
    cosines = result.cosines.numpy()
    if has_pairs(cosines):
        plot_conflicts(cosines, table.taxonomy.tasks, result.folder / "conflicts.png")
    console.print(score_table(result.report, baseline))
    console.print(f"best epoch, tables and plots: {result.folder}")
    return 0
