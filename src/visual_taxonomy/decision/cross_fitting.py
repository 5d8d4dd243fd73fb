"""Fits without some folds, and what each fit says of the folds it did not see.

Shapes: N rows, M labelled cells, T heads, C classes of the widest head, R rules, G thresholds.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.abstention import AcceptedCounts, count_accepted
from visual_taxonomy.decision.bootstrap import AnswerPairs, Units, draw_scores
from visual_taxonomy.decision.calibration import Calibration, calibrated, fit_calibration
from visual_taxonomy.decision.cells import Cells, read_cells
from visual_taxonomy.decision.conformal import count_covered
from visual_taxonomy.decision.folds import assign_folds
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.offsets import fit_offsets
from visual_taxonomy.decision.rule import (
    Rule,
    TauCounts,
    chosen_classes,
    count_taus,
    fit_taus,
    simplest,
)
from visual_taxonomy.decision.score_counts import ScoreCounts

NO_FOLDS: frozenset[int] = frozenset()

_SAMPLES = 100
"""Bootstrap samples behind the standard error that chooses the rule; 100 give it to 7 %."""


class Fit(NamedTuple):
    """What some of the folds give."""

    calibration: Calibration
    rules: tuple[Rule, ...]
    """In the order of `RULES`."""


class OutOfFold(NamedTuple):
    """Answers to cells, each by a fit that has not seen its fold."""

    cells: Cells
    probabilities: np.ndarray
    """[M, C] calibrated."""
    classes: np.ndarray
    """[R, M] choices of each rule."""

    def accepted(self, rule: int) -> list[AcceptedCounts]:
        """[T] answers of a rule by confidence, for each head."""
        classes = self.classes[rule]
        confidence = np.take_along_axis(self.probabilities, classes[:, None], axis=1)[:, 0]
        is_error = classes != self.cells.labels
        parts = zip(self._by_head(confidence), self._by_head(is_error), strict=True)
        return [count_accepted(*part) for part in parts]

    def covered(self) -> list[tuple[int, ...]]:
        """[T] labels by their calibrated probability, for each head."""
        own = np.take_along_axis(self.probabilities, self.cells.labels[:, None], axis=1)[:, 0]
        return [count_covered(part) for part in self._by_head(own)]

    def _by_head(self, values: np.ndarray) -> list[np.ndarray]:
        return np.split(values, np.cumsum(self.cells.support)[:-1])


class CrossFit:
    """All fits that cross-fitting asks for; each is made once.

    Args:
        held_out: Rows to fit on.
        folds: At least 2; fewer are used where there are fewer groups.
        seed: Of the folds and of the bootstrap.

    Raises:
        InputError: No row has a label, or there are too few groups or folds.
    """

    def __init__(self, held_out: HeldOut, folds: int, seed: int) -> None:
        self.seed = seed
        self.fold_of_row = assign_folds(held_out.categories, held_out.groups, folds, seed)
        # Fewer than asked for where there are few groups; those in use are 0 ... the highest.
        self.num_folds = int(self.fold_of_row.max()) + 1
        self.cells = read_cells(held_out)
        self.counts = ScoreCounts(held_out.taxonomy)
        self._fold_of_cell = self.fold_of_row[self.cells.rows]
        self._fits: dict[frozenset[int], Fit] = {}

    @cached_property
    def _tau_counts(self) -> TauCounts:
        # Counts add up over folds: one pass over the cells serves the taus of every set of folds.
        return count_taus(self.counts, self.cells, self._fold_of_cell, self.num_folds)

    @cached_property
    def _parts(self) -> list[Cells]:
        return [self.cells.take(self._fold_of_cell == fold) for fold in range(self.num_folds)]

    def fit(self, without: frozenset[int] = NO_FOLDS) -> Fit:
        """Fit on the cells of all other folds."""
        if without not in self._fits:
            kept = ~np.isin(self._fold_of_cell, list(without))
            cells = self.cells.take(kept) if without else self.cells
            one, of_heads = fit_taus(self.counts, self._tau_counts.without(without))
            same = np.full(len(of_heads), one)
            rules = (
                Rule(np.zeros(len(of_heads)), None),
                Rule(same, None),
                Rule(of_heads, None),
                Rule(of_heads, fit_offsets(cells, of_heads)),
            )
            # To start from the fit on all cells saves steps and gives nothing away: the NLL is
            # convex, so the minimum is that of the kept cells, whatever the start.
            whole = self.fit().calibration if without else None
            self._fits[without] = Fit(fit_calibration(cells, start=whole), rules)
        return self._fits[without]

    def out_of_fold(self, without: frozenset[int] = NO_FOLDS) -> OutOfFold:
        """Answers to the cells of all other folds, each by a fit without its own fold too."""
        kept = [fold for fold in range(self.num_folds) if fold not in without]
        fits = [self.fit(without | {fold}) for fold in kept]
        parts = [self._parts[fold] for fold in kept]
        probabilities = np.concatenate(
            [calibrated(part, fit.calibration) for part, fit in zip(parts, fits, strict=True)]
        )
        classes = np.concatenate(
            [
                np.stack([chosen_classes(part, rule) for rule in fit.rules])
                for part, fit in zip(parts, fits, strict=True)
            ],
            axis=1,
        )
        numbers = np.concatenate([np.flatnonzero(self._fold_of_cell == fold) for fold in kept])
        # Back in the order of all cells, heads together: `_by_head` cuts them by their numbers.
        order = np.argsort(numbers)
        cells = self.cells.take(numbers[order])
        return OutOfFold(cells, probabilities[order], classes[:, order])

    def choose(self, found: OutOfFold) -> int:
        """The rule, by index in `RULES`, that cross-validation prefers."""
        cells = found.cells
        if not len(cells):
            return 0
        sets = [
            AnswerPairs(self.counts, cells.heads, cells.labels, classes)
            for classes in found.classes
        ]
        ones = np.ones((1, len(cells)))
        scores = np.array([self.counts.mean(pairs.scores(ones).hm)[0] for pairs in sets])
        draws = draw_scores(sets, Units.of(cells.groups), _SAMPLES, self.seed)
        return simplest(scores, np.stack([self.counts.mean(draw.hm) for draw in draws]))
