"""How far scores would differ with other products: bootstrap over groups of near-duplicates.

A macro F1 over the classes that occur depends on how many rows there are: compare it only on the
same rows.

Shapes: N rows, A slots, G groups, B samples, M labelled cells, T heads, K categories.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.bootstrap import AnswerPairs, Units, draw_scores
from visual_taxonomy.decision.score_counts import LabelledCells, ScoreCounts, Scores
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy


class Interval(NamedTuple):
    """A score and the range that holds a share of its bootstrap samples; NaN without labels."""

    value: float
    low: float
    high: float


class ScoreIntervals(NamedTuple):
    """Intervals of the three scores."""

    hm: Interval
    micro: Interval
    macro: Interval


@dataclass(frozen=True)
class ReportIntervals:
    """Intervals of the scores of `evaluate`, by the names of the taxonomy.

    Args:
        overall: Means over the categories.
        categories: Category -> means over its attributes.
        attributes: Task name -> scores of the attribute.
    """

    overall: ScoreIntervals
    categories: dict[str, ScoreIntervals]
    attributes: dict[str, ScoreIntervals]


def score_intervals(
    taxonomy: Taxonomy,
    predicted: np.ndarray,
    targets: np.ndarray,
    categories: np.ndarray,
    groups: np.ndarray,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> ReportIntervals:
    """Bootstrap intervals of every score of `evaluate`.

    Args:
        taxonomy: Says which attribute stands in which slot.
        predicted: [N, A] class indices, -1 for no answer.
        targets: [N, A] class indices, -1 for unknown.
        categories: [N] category indices.
        groups: [N]; rows of one group are weighted together.
        samples: B.
        level: Share of the samples within the interval, between 0 and 1.
        seed: Of the weights.

    Raises:
        InputError: No row is labelled.

    References:
        Rubin, The Bayesian bootstrap, Annals of Statistics 9, 1981.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> predicted, targets = np.array([[0], [0], [1]]), np.array([[0], [1], [1]])
        >>> rows = np.arange(3)
        >>> score_intervals(taxonomy, predicted, targets, 0 * rows, rows).overall.micro.value
        0.6666666666666666
    """
    counts = ScoreCounts(taxonomy)
    cells = _labelled(taxonomy, targets, categories)
    pairs = _pairs(counts, cells, predicted)
    units = Units.of(groups[cells.rows])
    draws = draw_scores([pairs], units, samples, seed)[0]
    points = pairs.scores(np.ones((1, len(cells.rows))))
    return _by_name(taxonomy, counts, points, draws, (1 - level) / 2)


def _pairs(counts: ScoreCounts, cells: LabelledCells, predicted: np.ndarray) -> AnswerPairs:
    return AnswerPairs(counts, cells.heads, cells.labels, predicted[cells.rows, cells.slots])


def _labelled(taxonomy: Taxonomy, targets: np.ndarray, categories: np.ndarray) -> LabelledCells:
    cells = LabelledCells.of(taxonomy, targets, categories)
    if not len(cells.rows):
        raise InputError("nothing to score: no row has a label; fill attr_1, attr_2, ...")
    return cells


def _by_name(
    taxonomy: Taxonomy, counts: ScoreCounts, points: Scores, draws: Scores, tail: float
) -> ReportIntervals:
    def intervals(reduce: Callable[[np.ndarray], np.ndarray]) -> list[ScoreIntervals]:
        columns = []
        for point, sample in zip(points, draws, strict=True):
            values, reduced = reduce(point)[0], reduce(sample)
            # Weights are never 0, so a head is NaN in all samples or in none: no nanquantile.
            ends = np.quantile(reduced, (tail, 1 - tail), axis=0)
            columns.append([Interval(*map(float, row)) for row in zip(values, *ends, strict=True)])
        return [ScoreIntervals(*row) for row in zip(*columns, strict=True)]

    return ReportIntervals(
        # The one mean as a column of its own: `intervals` reads a column for each name.
        intervals(lambda scores: counts.mean(scores)[:, None])[0],
        dict(zip(taxonomy.categories, intervals(counts.category_means), strict=True)),
        dict(zip(taxonomy.task_names, intervals(lambda scores: scores), strict=True)),
    )
