"""What a decision is worth on rows that it was not fitted on.

Each fold is answered by a decision whose every part, the choice of the rule too, is from the other
folds: fitted, chosen and counted by cross-fitting among them.

Shapes: N rows, A slots, C classes of the widest task, M labelled cells.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from visual_taxonomy.decision.abstention import check_target
from visual_taxonomy.decision.calibration import Calibration, calibrated
from visual_taxonomy.decision.cells import Cells
from visual_taxonomy.decision.comparison import Differences, compare_answers
from visual_taxonomy.decision.cross_fitting import CrossFit, OutOfFold
from visual_taxonomy.decision.decision import Answers, Decision
from visual_taxonomy.decision.fitting import (
    answer_out_of_fold,
    decision_of,
    decisions_of_folds,
)
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import ScoreIntervals, score_intervals
from visual_taxonomy.decision.measures import Measures, measure
from visual_taxonomy.decision.precision import Precision, achieved_precision
from visual_taxonomy.decision.rule import RULES
from visual_taxonomy.taxonomy import UNKNOWN

CHOSEN = "chosen"
"""Name of the rule that the other folds chose for each fold, beside those of `RULES`."""

TARGETS = (0.9, 0.95)
"""Target precisions that are always reported."""


@dataclass(frozen=True)
class CrossFitted:
    """Answers out of fold, and every figure that is computed from them.

    Args:
        decision: The one fitted on all rows, which these figures are about.
        argmax: Answers to all N rows by the most probable class.
        metric: Answers to all N rows by the chosen rule.
        scores: Rule of `RULES`, or "chosen" -> its scores with intervals.
        gain: The chosen rule against argmax.
        before: Calibration of the model's probabilities.
        after: Calibration of the calibrated ones.
        precision: One for each target.
    """

    decision: Decision
    argmax: Answers
    metric: Answers
    scores: dict[str, ScoreIntervals]
    gain: Differences
    before: Measures
    after: Measures
    precision: tuple[Precision, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values for JSON; an interval is [value, low, high]."""
        return {
            "rule": self.decision.rule,
            "scores": {name: _lists(scores) for name, scores in self.scores.items()},
            "gain": {name: each._asdict() for name, each in self.gain._asdict().items()},
            "before": _lists(self.before),
            "after": _lists(self.after),
            "precision": [each.to_dict() for each in self.precision],
        }


def cross_fitted(
    held_out: HeldOut,
    folds: int = 5,
    seed: int = 0,
    target_precision: float | None = None,
    source: str = "held-out rows",
    samples: int = 1000,
) -> CrossFitted:
    """Fit a decision, and judge it on rows that it was not fitted on.

    Args:
        held_out: N rows that the model was not trained on.
        folds: Parts, 2 or more; fewer where there are fewer products.
        seed: Of the folds and of the bootstrap.
        target_precision: At which answers become unknown; reported beside `TARGETS`.
        source: Names the rows for people.
        samples: Bootstrap samples behind the intervals.

    Raises:
        InputError: No row has a label, the target is not between 0 and 1, or there are fewer than 2
            folds or products.
    """
    # Refused here, not after all the fits.
    if target_precision is not None:
        check_target(target_precision)
    fits = CrossFit(held_out, folds, seed)
    decision = decision_of(fits, held_out, source)
    of_folds = decisions_of_folds(fits, held_out, source)

    def answers(rule: Literal["argmax", "metric"], target: float | None) -> Answers:
        return answer_out_of_fold(fits, of_folds, held_out, rule, target)

    metric = answers("metric", target_precision)
    found = fits.out_of_fold()
    classes = {name: _spread(held_out, found, place) for place, name in enumerate(RULES)}
    classes[CHOSEN] = metric.classes
    rows = (held_out.targets, held_out.categories, held_out.groups, samples)
    before, after = _measures(fits.cells, found, seed)
    # A target that is reported anyway must not be reported twice.
    targets = sorted({*TARGETS, *([target_precision] if target_precision else [])})
    return CrossFitted(
        decision=decision,
        argmax=answers("argmax", target_precision),
        metric=metric,
        scores={
            name: score_intervals(held_out.taxonomy, each, *rows, seed=seed).overall
            for name, each in classes.items()
        },
        gain=compare_answers(held_out, classes["argmax"], metric.classes, samples, seed).overall,
        before=before,
        after=after,
        precision=tuple(
            achieved_precision(
                fits.cells, answers("metric", target), target, decision.pooled_tasks(target)
            )
            for target in targets
        ),
    )


def _spread(held_out: HeldOut, found: OutOfFold, rule: int) -> np.ndarray:
    """[N, A] classes of a rule; -1 where there is no label, which no score looks at."""
    classes = np.full(held_out.targets.shape, UNKNOWN, dtype=np.int64)
    classes[found.cells.rows, found.cells.slots] = found.classes[rule]
    return classes


def _measures(cells: Cells, found: OutOfFold, seed: int) -> tuple[Measures, Measures]:
    """Of the model's probabilities, and of the calibrated ones out of fold."""
    # a = 1, b = 0: the model's own probabilities, with the floor that the calibrated ones have.
    identity = Calibration(np.ones(len(cells.sizes)), np.zeros(len(cells.sizes)))
    before, after = (
        measure(probabilities, each.labels, each.heads, each.groups, seed=seed)
        for each, probabilities in (
            (cells, calibrated(cells, identity)),
            (found.cells, found.probabilities),
        )
    )
    return before, after


def _lists(intervals: ScoreIntervals | Measures) -> dict[str, list[float]]:
    return {name: list(each) for name, each in intervals._asdict().items()}
