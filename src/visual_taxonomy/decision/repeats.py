"""Scores of a kind of model that was trained with several seeds, on one set of held-out rows.

Shapes: N rows, A slots, R seeds, B samples, T heads, V variants, M labelled cells.
"""

from collections.abc import Sequence

import numpy as np

from visual_taxonomy.decision.bootstrap import AnswerPairs, Units, draw_scores
from visual_taxonomy.decision.folds import assign_folds
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import Interval, ScoreIntervals
from visual_taxonomy.decision.score_counts import LabelledCells, ScoreCounts, Scores

_TAIL = 0.025
"""95 % of the samples lie between the two tails, as in `intervals`."""


def head_scores(rows: HeldOut, answers: np.ndarray) -> Scores:
    """[T] scores of each head; NaN without labels.

    Args:
        rows: Taxonomy and labels; its probabilities are not looked at.
        answers: [N, A] class indices, -1 for no answer.
    """
    counts = ScoreCounts(rows.taxonomy)
    cells = LabelledCells.of(rows.taxonomy, rows.targets, rows.categories)
    pairs = _pairs(counts, cells, answers)
    return Scores(*(each[0] for each in pairs.scores(np.ones((1, len(cells.rows))))))


def hm(rows: HeldOut, answers: np.ndarray) -> float:
    """HM: the mean over the categories of the means over their heads."""
    return float(ScoreCounts(rows.taxonomy).mean(head_scores(rows, answers).hm))


def repeat_intervals(
    rows: HeldOut, answers: Sequence[np.ndarray], samples: int = 1000, seed: int = 0
) -> ScoreIntervals:
    """Mean scores over R seeds; the intervals are over products and seeds.

    A sample weights the groups of near-duplicates at random (see `bootstrap`) and draws R of the R
    seeds with replacement.

    Args:
        rows: Taxonomy, labels and groups.
        answers: R arrays [N, A] of class indices, -1 for no answer.
        samples: B.
        seed: Of the samples.
    """
    counts = ScoreCounts(rows.taxonomy)
    cells = LabelledCells.of(rows.taxonomy, rows.targets, rows.categories)
    sets = [_pairs(counts, cells, each) for each in answers]
    draws = draw_scores(sets, Units.of(rows.groups[cells.rows]), samples, seed)
    repeats, ones = len(sets), np.ones((1, len(cells.rows)))
    generator = np.random.default_rng([seed, repeats])
    shares = generator.multinomial(repeats, np.full(repeats, 1 / repeats), samples) / repeats
    found = []
    for place in range(len(Scores._fields)):
        value = float(np.mean([counts.mean(each.scores(ones)[place])[0] for each in sets]))
        means = np.stack([counts.mean(each[place]) for each in draws], axis=1)
        low, high = np.quantile((means * shares).sum(axis=1), (_TAIL, 1 - _TAIL)).tolist()
        found.append(Interval(value, low, high))
    return ScoreIntervals(*found)


def cross_fitted_choice(
    rows: HeldOut, answers: Sequence[Sequence[np.ndarray]], folds: int = 5, seed: int = 0
) -> tuple[float, float, list[int]]:
    """What it is worth to choose the best of V variants, on rows that did not choose it.

    The rows are cut into folds of whole groups; each fold is answered by the variant whose mean HM
    over the seeds is highest on the other folds.

    Args:
        rows: Taxonomy, labels and groups.
        answers: V variants of R arrays [N, A] each.
        folds: Parts.
        seed: Of the folds.

    Returns:
        HM of the best variant on the rows that chose it; HM of the choice on other rows, both
        means over seeds; the variant that each fold got.

    References:
        Cawley and Talbot, JMLR 11, 2010 (the bias of a score that was selected by).
    """
    of_rows = assign_folds(rows.categories, rows.groups, folds, seed)
    used = np.unique(of_rows)
    flattering = max(_mean_hm(rows, each) for each in answers)
    # Seeds pair up by place: repeat r of the choice takes repeat r of what each fold chose.
    repeats = min(map(len, answers))
    mixed = [np.array(answers[0][r]) for r in range(repeats)]
    chosen = []
    for fold in used.tolist():
        others = np.flatnonzero(of_rows != fold)
        rest = rows.take(others)
        scores = [_mean_hm(rest, [each[others] for each in variant]) for variant in answers]
        chosen.append(int(np.argmax(scores)))
        for r, answer in enumerate(mixed):
            answer[of_rows == fold] = answers[chosen[-1]][r][of_rows == fold]
    return flattering, _mean_hm(rows, mixed), chosen


def _mean_hm(rows: HeldOut, answers: Sequence[np.ndarray]) -> float:
    return float(np.mean([hm(rows, each) for each in answers]))


def _pairs(counts: ScoreCounts, cells: LabelledCells, answers: np.ndarray) -> AnswerPairs:
    return AnswerPairs(counts, cells.heads, cells.labels, answers[cells.rows, cells.slots])
