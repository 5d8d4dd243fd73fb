"""Scores of many weighted versions of the same answers.

Every group of near-duplicates gets a random weight (exponential, so the weights are a flat
Dirichlet sample), and the scores are computed from weighted counts: the Bayesian bootstrap.
Drawing groups with replacement instead would drop a class of one label from a third of the samples
and with it from the macro average, which moves all samples away from the score they are about.

Shapes: M labelled cells, G groups, B samples, T heads, S classes of all heads.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.score_counts import ScoreCounts, Scores
from visual_taxonomy.taxonomy import UNKNOWN

_SAMPLES_AT_ONCE = 32
"""Samples whose weights are in memory together; each is M numbers."""


class Units(NamedTuple):
    """Which cells are weighted together."""

    of_cell: np.ndarray
    """[M] 0 ... G - 1."""
    number: int
    """G."""

    @classmethod
    def of(cls, groups: np.ndarray) -> "Units":
        """From the groups of the cells, [M], numbered in any way."""
        places = np.unique(groups, return_inverse=True)[1]
        # Without cells -1 + 1 = 0 units, where the maximum of nothing would raise.
        return cls(places, int(places.max(initial=-1)) + 1)


class AnswerPairs:
    """The pairs of true and chosen class that occur, and the cells of each.

    Args:
        counts: Of the taxonomy.
        heads: [M] tasks.
        labels: [M] true classes.
        classes: [M] chosen classes, -1 for no answer.
    """

    def __init__(
        self, counts: ScoreCounts, heads: np.ndarray, labels: np.ndarray, classes: np.ndarray
    ) -> None:
        starts = counts.starts[heads]
        side = counts.num_classes + 1  # the last place is that of no answer
        flat = np.where(classes == UNKNOWN, counts.num_classes, starts + classes)
        kinds, self._pair_of = np.unique((starts + labels) * side + flat, return_inverse=True)
        self._counts = counts
        self._true, self._chosen = np.divmod(kinds, side)

    def scores(self, weights: np.ndarray) -> Scores:
        """[B, T] scores of each head with the cells weighted by [B, M]."""
        pairs = len(self._true)
        # The few pairs that occur stand for the M cells: a sample costs one pass over the cells.
        weighted = np.stack([np.bincount(self._pair_of, row, pairs) for row in weights])
        is_correct = self._true == self._chosen
        return self._counts.scores(
            self._by_class(weighted, self._true),
            self._by_class(weighted, self._chosen),
            self._by_class(weighted * is_correct, self._true),
        )

    def _by_class(self, weighted: np.ndarray, classes: np.ndarray) -> np.ndarray:
        side = self._counts.num_classes + 1
        # Without the last place: no answer is a miss of the true class, and no prediction of any.
        return np.stack([np.bincount(classes, row, side)[:-1] for row in weighted])


def draw_weights(units: Units, samples: int, seed: int) -> Iterator[np.ndarray]:
    """[b, M] weights of the cells, a few of B samples at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, samples, _SAMPLES_AT_ONCE):
        size = (min(_SAMPLES_AT_ONCE, samples - start), units.number)
        # Not divided by their sum: all that is computed from them is a ratio of weighted counts.
        yield generator.standard_exponential(size)[:, units.of_cell]


def draw_scores(sets: Sequence[AnswerPairs], units: Units, samples: int, seed: int) -> list[Scores]:
    """[B, T] scores of each head for each set of answers; the samples are shared by all sets.

    Args:
        sets: Answers to the same M cells.
        units: Cells that are weighted together.
        samples: B.
        seed: Of the weights.

    References:
        Rubin, The Bayesian bootstrap, Annals of Statistics 9, 1981.
    """
    parts: list[list[Scores]] = [[] for _ in sets]
    for weights in draw_weights(units, samples, seed):
        # The same weights for all sets, so that differences of their scores are paired.
        for found, pairs in zip(parts, sets, strict=True):
            found.append(pairs.scores(weights))
    return [Scores(*map(np.concatenate, zip(*found, strict=True))) for found in parts]
