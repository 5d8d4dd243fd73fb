"""Rows of mixed categories as dense tables, so that no row is worked on alone.

Shapes: N rows, K categories, A slots, C classes of the widest task, T tasks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy

FLOOR = 1e-30
"""Stands for a probability of 0 under a logarithm. Below about 1e-38 float32 holds fewer digits,
and engines would differ."""

_NOWHERE = -1e30
"""Score of a class that the head does not have; -inf would make NaN of rows without answer."""

_ROWS_AT_ONCE = 2048
"""Rows that are worked on together: more would hold a large file's tables in memory at once."""


@dataclass(frozen=True)
class Batch:
    """Probabilities of N rows, and where in them an answer stands."""

    categories: np.ndarray
    """[N] indices; 0 for rows without image, which have no usable entry."""
    exact: np.ndarray
    """[N, A, C] float64 probabilities."""
    is_usable: np.ndarray
    """[N, A, C] bool: a class of a head that has an answer."""

    @property
    def logs(self) -> np.ndarray:
        """[N, A, C] logarithms of the probabilities, 0 where there is none."""
        # Where there is no answer the number may be NaN; 1 stands there, whose logarithm is 0.
        ones = np.ones_like(self.exact)
        return np.log(np.maximum(self.exact, FLOOR, where=self.is_usable, out=ones))

    def first_two(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[N, A] classes of the highest and second score; the first of equals, -1 for none."""
        scores = np.where(self.is_usable, scores, _NOWHERE)
        first = scores.argmax(axis=2)
        np.put_along_axis(scores, first[..., None], _NOWHERE, axis=2)
        second = scores.argmax(axis=2)
        classes = self.is_usable.sum(axis=2)
        return np.where(classes > 0, first, UNKNOWN), np.where(classes > 1, second, UNKNOWN)

    def softmax(self, scores: np.ndarray) -> np.ndarray:
        """[N, A, C] softmax over the classes of each head; 0 where there is no answer."""
        scores = np.where(self.is_usable, scores, _NOWHERE)
        # Without answer all scores are equal and each share is 1: the mask makes them 0.
        shares = np.exp(scores - scores.max(axis=2, keepdims=True)) * self.is_usable
        # With an answer the sum is at least exp(0) = 1; without one it is 0, and 0 / 1 stays 0.
        return shares / np.maximum(shares.sum(axis=2, keepdims=True), 1.0)


class Tables:
    """Which slots and classes each category has.

    Args:
        taxonomy: T tasks.

    Example:
        >>> tables = Tables(Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}}))
        >>> tables.by_slot(np.array([7.0]))
        array([[7.]])
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.classes = max(len(task.classes) for task in taxonomy.tasks)
        self._places = [
            (k, slot, task)
            for k, slots in enumerate(taxonomy.slots)
            for slot, task in enumerate(slots)
        ]
        self._shape = (len(taxonomy.slots), taxonomy.num_slots)
        counts = np.array([len(task.classes) for task in taxonomy.tasks])
        self.has_class = np.arange(self.classes) < self.by_slot(counts)[..., None]

    def by_slot(self, values: np.ndarray) -> np.ndarray:
        """[K, A, ...] values of the tasks, [T, ...], by category and slot; 0 where is none."""
        table = np.zeros((*self._shape, *values.shape[1:]), dtype=values.dtype)
        for category, slot, task in self._places:
            table[category, slot] = values[task]
        return table

    def batch(self, probabilities: np.ndarray, categories: np.ndarray) -> Batch:
        """The rows with an answer made out: an image, finite numbers, not all 0."""
        known = np.maximum(categories, 0)
        exact = probabilities.astype(np.float64)
        has_answer = np.isfinite(exact).all(axis=2) & (exact > 0).any(axis=2)
        has_answer &= (categories >= 0)[:, None]
        return Batch(known, exact, self.has_class[known] & has_answer[..., None])

    def check_shapes(self, probabilities: np.ndarray, categories: np.ndarray) -> None:
        """Refuse probabilities that are not of this taxonomy.

        Raises:
            InputError: The shapes do not fit it or each other.
        """
        expected = (len(categories), self._shape[1], self.classes)
        if probabilities.shape != expected:
            raise InputError(
                f"probabilities of shape {probabilities.shape} do not fit the taxonomy, "
                f"expected {expected}"
            )


def padded(rows: Sequence[Sequence[float]], width: int | None = None) -> np.ndarray:
    """Rows of different lengths as one float64 table, 0 after their ends.

    Example:
        >>> padded([(1.0, 2.0), (3.0,)])
        array([[1., 2.],
               [3., 0.]])
    """
    table = np.zeros((len(rows), max(map(len, rows)) if width is None else width))
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table


def parts_of(rows: int) -> Iterator[slice]:
    """Slices that cover `rows` rows, a few at a time; one empty slice for none."""
    for start in range(0, max(rows, 1), _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)
