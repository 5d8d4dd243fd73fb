"""`vtax cross-validate`."""

from typing import TYPE_CHECKING

from visual_taxonomy.commands.terminal import EXIT_INTERRUPTED, console, errors, terminal
from visual_taxonomy.commands.train import allow_own_modules, name_killed_loader
from visual_taxonomy.config import TrainConfig

if TYPE_CHECKING:
    from visual_taxonomy.decision.held_out import HeldOut

_AGAIN = "run the same command again to resume"


def cross_validate(config: TrainConfig) -> int:
    """Train a model for each fold, and score each on the rows it did not see.

    The runs stand in RUN/fold_0, RUN/fold_1, ...; RUN/held_out.npz holds the predictions of all
    rows, each by the last epoch of the model that did not see it. Run the same command again to
    resume.
    """
    from visual_taxonomy.training.cross_validation import cross_validate as run
    from visual_taxonomy.training.trainer import Interrupted

    allow_own_modules()
    try:
        with name_killed_loader(config, lambda: _AGAIN):
            held_out = run(config, terminal)
    except Interrupted:
        errors.print(f"stopped; {_AGAIN}")
        return EXIT_INTERRUPTED
    if held_out is not None:
        _report(held_out, config)
    return 0


def _report(held_out: "HeldOut", config: TrainConfig) -> None:
    from visual_taxonomy.commands.decision_text import (
        decision_table,
        gain_line,
        precision_lines,
        words_lines,
    )
    from visual_taxonomy.decision.cross_fitted import cross_fitted
    from visual_taxonomy.decision.held_out import HELD_OUT_NAME
    from visual_taxonomy.evaluation import evaluate, majority_report
    from visual_taxonomy.reporting.scores import score_table

    rows = (held_out.targets, held_out.categories)
    baseline = majority_report(held_out.taxonomy, held_out.class_counts, *rows)
    console.print(
        score_table(evaluate(held_out.taxonomy, held_out.most_probable(), *rows), baseline)
    )
    found = cross_fitted(held_out, source="the folds of a cross-validation")
    figures = found.to_dict()
    console.print(decision_table(figures))
    for line in (gain_line(figures), *precision_lines(figures)):
        console.print(line)
    for line in words_lines(held_out) if config.data.text_columns else ():
        console.print(line)
    console.print(
        f"the scores of {len(held_out)} rows, each by the last epoch of the model that did not see "
        f"it: no epoch was chosen by them; predictions: {config.run.folder / HELD_OUT_NAME}"
    )
