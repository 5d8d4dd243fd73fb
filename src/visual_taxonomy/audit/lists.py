"""The three lists of an audit."""

from dataclasses import replace
from typing import NamedTuple

from visual_taxonomy.audit.contradictions import find_contradictions
from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.audit.holes import find_fillable_holes
from visual_taxonomy.audit.wrong_labels import find_wrong_labels
from visual_taxonomy.decision.cross_fitting import CrossFit
from visual_taxonomy.decision.decision import Answers
from visual_taxonomy.decision.fitting import answer_out_of_fold, decisions_of_folds
from visual_taxonomy.decision.held_out import HeldOut

LIKELY_WRONG, CONTRADICTIONS, FILLABLE = "likely_wrong", "contradictions", "fillable"
"""Names of the lists, and of their files."""

# As many as `fit_decision` has.
_FOLDS = 5


class Lists(NamedTuple):
    """What is worth a second look, each list in falling order of its score."""

    likely_wrong: list[Finding]
    contradictions: list[Finding]
    fillable: list[Finding]

    def by_name(self) -> dict[str, list[Finding]]:
        """Name of each list -> its findings."""
        return {
            LIKELY_WRONG: self.likely_wrong,
            CONTRADICTIONS: self.contradictions,
            FILLABLE: self.fillable,
        }


def audit_labels(held_out: HeldOut, target_precision: float, seed: int = 0) -> Lists:
    """Find labels that are probably wrong, contradict each other, or can be filled in.

    Calibration and thresholds are cross-fitted: those of a row are fitted on rows of other folds.

    Args:
        held_out: Predictions of models that were not trained on the rows, and the labels.
        target_precision: Of the labels that are filled in, between 0 and 1.
        seed: Of the folds.

    Raises:
        InputError: There are too few rows to fit on.
    """
    answers = cross_fitted_answers(held_out, target_precision, seed)
    calibrated = replace(held_out, probabilities=answers.probabilities)
    return Lists(
        find_wrong_labels(calibrated),
        find_contradictions(calibrated),
        find_fillable_holes(calibrated, answers),
    )


def cross_fitted_answers(held_out: HeldOut, target_precision: float, seed: int = 0) -> Answers:
    """Answers for all rows, each by a decision that was fitted on rows of other folds.

    The most probable class is the answer: what is written into a catalogue should be right, not
    serve a metric.

    Args:
        held_out: The rows.
        target_precision: Between 0 and 1; answers below it are unknown.
        seed: Of the folds.

    Raises:
        InputError: There are too few rows to fit on.
    """
    cross_fit = CrossFit(held_out, _FOLDS, seed)
    of_folds = decisions_of_folds(cross_fit, held_out, "other folds")
    return answer_out_of_fold(cross_fit, of_folds, held_out, "argmax", target_precision)
