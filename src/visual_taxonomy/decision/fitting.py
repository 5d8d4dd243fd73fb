"""Fit a decision on held-out rows.

The rule is chosen, and the thresholds are counted, on answers out of fold: each fold is answered by
a fit on the others. What is kept is the fit on all folds.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from visual_taxonomy.decision.abstention import GRID
from visual_taxonomy.decision.cross_fitting import NO_FOLDS, CrossFit
from visual_taxonomy.decision.decision import (
    Answers,
    Decision,
    FittedOn,
    HeadDecision,
    Rule,
)
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.rule import RULES
from visual_taxonomy.taxonomy import UNKNOWN


def fit_decision(
    held_out: HeldOut, folds: int = 5, seed: int = 0, source: str = "held-out rows"
) -> Decision:
    """Calibration, rule and thresholds of every head, fitted on held-out rows.

    Args:
        held_out: Rows that the model was not trained on.
        folds: Parts of the cross-fitting, 2 or more; fewer where there are fewer products.
        seed: Of the folds and of the bootstrap behind the choice of the rule.
        source: Names the rows for people.

    Raises:
        InputError: Fewer than 2 folds, or than 2 products that are no near-duplicates.
    """
    return decision_of(CrossFit(held_out, folds, seed), held_out, source)


def decision_of(
    cross_fit: CrossFit, held_out: HeldOut, source: str, without: frozenset[int] = NO_FOLDS
) -> Decision:
    """The decision that all folds but some give.

    Args:
        cross_fit: Its fits.
        held_out: The rows it was made of.
        source: Names them for people.
        without: Folds that take no part in any of it.
    """
    fit, found = cross_fit.fit(without), cross_fit.out_of_fold(without)
    chosen = cross_fit.choose(found)
    rule = fit.rules[chosen]
    # 0 is argmax, the first of `RULES`.
    argmax, metric = found.accepted(0), found.accepted(chosen)
    support, covered = found.cells.support, found.covered()
    heads = []
    for head, task in enumerate(held_out.taxonomy.tasks):
        size = len(task.classes)
        offsets = None if rule.offsets is None else tuple(rule.offsets[head, :size].tolist())
        heads.append(
            HeadDecision(
                temperature=float(1.0 / fit.calibration.slope[head]),
                prior_exponent=float(fit.calibration.exponent[head]),
                log_prior=tuple(cross_fit.cells.log_prior[head, :size].tolist()),
                tau=float(rule.tau[head]),
                offsets=offsets,
                argmax_counts=argmax[head],
                metric_counts=metric[head],
                labels=int(support[head]),
                covered=covered[head],
            )
        )
    # Rows of folds left out are neither counted nor in the digest that `was_fitted_on` compares.
    rows = np.flatnonzero(~np.isin(cross_fit.fold_of_row, list(without)))
    fitted_on = FittedOn(
        source, len(rows), len(found.cells), cross_fit.num_folds, digest_of_ids(held_out.ids[rows])
    )
    return Decision(held_out.taxonomy, tuple(heads), fitted_on, RULES[chosen], GRID)


def decisions_of_folds(cross_fit: CrossFit, held_out: HeldOut, source: str) -> list[Decision]:
    """For each fold, the decision that the other folds give; arguments as for `decision_of`."""
    return [
        decision_of(cross_fit, held_out, source, frozenset({fold}))
        for fold in range(cross_fit.num_folds)
    ]


def answer_out_of_fold(
    cross_fit: CrossFit,
    of_folds: Sequence[Decision],
    held_out: HeldOut,
    rule: Rule,
    target_precision: float | None,
) -> Answers:
    """Answers to all N rows, each by the decision that has not seen its fold.

    Args:
        cross_fit: Says which fold a row is in.
        of_folds: Of `decisions_of_folds`.
        held_out: The rows.
        rule: How the class is chosen.
        target_precision: As for `Decision.answer`.
    """
    shape = held_out.probabilities.shape
    # Defaults for no row: each is in exactly one fold, and is filled in below.
    whole = Answers(
        np.zeros(shape, dtype=np.float32),
        np.full(shape[:2], UNKNOWN, dtype=np.int64),
        np.full(shape[:2], UNKNOWN, dtype=np.int64),
        np.ones(shape[:2], dtype=np.bool_),
    )
    for fold, decision in enumerate(of_folds):
        rows = np.flatnonzero(cross_fit.fold_of_row == fold)
        part = decision.answer(
            held_out.probabilities[rows], held_out.categories[rows], rule, target_precision
        )
        for array, values in zip(whole, part, strict=True):
            array[rows] = values
    return whole


def digest_of_ids(ids: np.ndarray) -> str:
    """SHA-256 of ids in any order: what `FittedOn.digest` holds."""
    return hashlib.sha256("\n".join(sorted(map(str, ids))).encode()).hexdigest()
