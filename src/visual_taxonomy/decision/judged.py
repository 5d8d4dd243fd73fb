"""What a decision that a model carries is worth on other rows than it was fitted on.

Shapes: N rows, A slots, C classes of the widest task, M labelled cells.
"""

import numpy as np

from visual_taxonomy.decision.cells import read_cells
from visual_taxonomy.decision.comparison import compare_answers
from visual_taxonomy.decision.cross_fitted import TARGETS, CrossFitted
from visual_taxonomy.decision.decision import Answers, Decision, Rule
from visual_taxonomy.decision.fitting import digest_of_ids
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import score_intervals
from visual_taxonomy.decision.measures import measure
from visual_taxonomy.decision.precision import achieved_precision


def judge(
    decision: Decision, held_out: HeldOut, target_precision: float | None = None, seed: int = 0
) -> CrossFitted:
    """The figures of `cross_fitted` for a decision that was fitted elsewhere; nothing is fitted.

    Args:
        decision: Of the model.
        held_out: N rows that neither model nor decision was fitted on. A task may have more
            classes than the model knows: those are never answered.
        target_precision: Reported beside `TARGETS`.
        seed: Of the bootstrap.

    Raises:
        InputError: The decision is of another taxonomy, no row has a label, or the target is not
            between 0 and 1.
    """

    def answer(rule: Rule, target: float | None = None) -> Answers:
        return _answers(decision, held_out, rule, target)

    argmax, metric = answer("argmax"), answer("metric")
    rows = held_out.targets, held_out.categories, held_out.groups
    taxonomy, cells = held_out.taxonomy, read_cells(held_out)
    before, after = (
        measure(each[cells.rows, cells.slots], cells.labels, cells.heads, cells.groups, seed=seed)
        # Those of the metric would do as well: the rule changes the classes, not the calibration.
        for each in (held_out.probabilities.astype(np.float64), argmax.probabilities)
    )
    classes = {"argmax": argmax.classes, decision.rule: metric.classes}
    targets = sorted({*TARGETS, *([target_precision] if target_precision else [])})
    return CrossFitted(
        decision=decision,
        argmax=argmax,
        metric=metric,
        scores={
            name: score_intervals(taxonomy, each, *rows, seed=seed).overall
            for name, each in classes.items()
        },
        gain=compare_answers(held_out, argmax.classes, metric.classes, seed=seed).overall,
        before=before,
        after=after,
        precision=tuple(
            achieved_precision(
                cells, answer("metric", target), target, decision.pooled_tasks(target)
            )
            for target in targets
        ),
    )


def was_fitted_on(decision: Decision, held_out: HeldOut) -> bool:
    """Whether a decision was fitted on just these rows, by the digest of their ids."""
    return digest_of_ids(held_out.ids) == decision.fitted_on.digest


def _answers(decision: Decision, held_out: HeldOut, rule: Rule, target: float | None) -> Answers:
    # Classes that only the rows know come behind the model's: cut off for the decision, which
    # checks shapes, and put back as 0 for what reads answers by the taxonomy of the rows.
    widest = max(len(task.classes) for task in decision.taxonomy.tasks)
    known = held_out.probabilities[..., :widest]
    answers = decision.answer(known, held_out.categories, rule, target)
    more = held_out.probabilities.shape[2] - widest
    padded = np.pad(answers.probabilities, ((0, 0), (0, 0), (0, more)))
    return answers._replace(probabilities=padded)
