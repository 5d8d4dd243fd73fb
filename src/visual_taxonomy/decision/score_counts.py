"""The scores of evaluation.py for many sets of counts at once, as fits and bootstraps need them.

Shapes: M labelled cells (a row and a slot), T heads (tasks), S classes of all heads, one head
after the other; "..." is any number of sets.
"""

from typing import NamedTuple

import numpy as np

from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy


class Scores(NamedTuple):
    """Scores of each head, [..., T], NaN without labels; or their means, [...]."""

    hm: np.ndarray
    micro: np.ndarray
    macro: np.ndarray


class ScoreCounts:
    """Scores from counts of each class: labels, predictions, and correct ones.

    Args:
        taxonomy: T tasks.

    Example:
        >>> counts = ScoreCounts(Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}}))
        >>> scores = counts.scores(np.array([3, 1]), np.array([4, 0]), np.array([3, 0]))
        >>> scores.micro, scores.macro.round(3), scores.hm.round(3)
        (array([0.75]), array([0.429]), array([0.545]))
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.sizes = np.array([len(task.classes) for task in taxonomy.tasks])
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.num_classes = int(self.sizes.sum())
        self._categories = np.array(
            [taxonomy.categories.index(task.category) for task in taxonomy.tasks]
        )

    def scores(self, labels: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> Scores:
        """[..., T] scores of each head.

        Args:
            labels: [..., S] counts or weights of the true classes.
            predicted: [..., S] of the predicted ones.
            correct: [..., S] of those that agree.
        """
        either = labels + predicted
        # A class in neither truth nor prediction is 0 here, and is left out of the macro average.
        f1 = 2.0 * correct / np.where(either > 0, either, 1.0)
        total = self._sums(labels)
        # NaN is added at the end: dividing by 0 would warn at each call.
        nothing = np.where(total > 0, 0.0, np.nan)
        macro = self._sums(f1) / np.maximum(self._sums((either > 0).astype(np.float64)), 1.0)
        micro = 2.0 * self._sums(correct) / np.where(total > 0, self._sums(either), 1.0)
        both = micro + macro
        hm = 2.0 * micro * macro / np.where(both > 0, both, 1.0)
        return Scores(hm + nothing, micro + nothing, macro + nothing)

    def category_means(self, of_heads: np.ndarray) -> np.ndarray:
        """[..., K] means over the heads that have labels; NaN for a category without any."""
        known = ~np.isnan(of_heads)
        one_hot = (self._categories[:, None] == np.arange(self._categories[-1] + 1)).astype(float)
        # 0, not NaN, goes into the product: NaN times 0 would reach every category.
        sums, counts = np.where(known, of_heads, 0.0) @ one_hot, known.astype(float) @ one_hot
        return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)

    def mean(self, of_heads: np.ndarray) -> np.ndarray:
        """[...] means over the categories that have labels, of the means over their heads."""
        of_categories = self.category_means(of_heads)
        known = ~np.isnan(of_categories)
        return np.where(known, of_categories, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)

    def hm(self, labels: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> np.ndarray:
        """[...] the score of the competition; arguments as for `scores`."""
        return self.mean(self.scores(labels, predicted, correct).hm)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        # reduceat takes an empty range for its first element: a head has at least one class.
        return np.add.reduceat(values, self.starts, axis=-1)


class LabelledCells(NamedTuple):
    """The cells of a table that have a label."""

    rows: np.ndarray
    """[M]"""
    heads: np.ndarray
    """[M] tasks."""
    slots: np.ndarray
    """[M]"""
    labels: np.ndarray
    """[M] true classes."""

    @classmethod
    def of(cls, taxonomy: Taxonomy, targets: np.ndarray, categories: np.ndarray) -> "LabelledCells":
        """Those of [N, A] targets, row after row.

        Example:
            >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
            >>> LabelledCells.of(taxonomy, np.array([[-1], [1]]), np.array([0, 0])).rows
            array([1])
        """
        task_of = np.full((len(taxonomy.slots), taxonomy.num_slots), UNKNOWN)
        for category, slots in enumerate(taxonomy.slots):
            task_of[category, : len(slots)] = slots
        heads = task_of[categories]
        rows, places = np.nonzero((targets != UNKNOWN) & (heads != UNKNOWN))
        return cls(rows, heads[rows, places], places, targets[rows, places])
