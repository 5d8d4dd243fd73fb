"""Labelled rows as the probes see them: features in place of images.

Shapes: N rows, D features, A slots.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from visual_taxonomy.taxonomy import UNKNOWN, Task, Taxonomy

_FLAT = 1e-6
"""A feature that varies less than this is one value; dividing by its deviation would blow up
rounding."""


class Encoded(NamedTuple):
    """Rows of a table with the features of their images."""

    features: np.ndarray
    """[N, D] float32; NaN in the rows whose image could not be read."""
    categories: np.ndarray
    """[N] category indices."""
    targets: np.ndarray
    """[N, A] class indices, -1 for unknown."""

    def take(self, rows: np.ndarray) -> "Encoded":
        """Some of the rows, by index or mask."""
        return Encoded(*(array[rows] for array in self))

    @property
    def has_image(self) -> np.ndarray:
        """[N] whether the image could be read; one value tells, a row is set as a whole."""
        return ~np.isnan(self.features[:, 0])

    def of_category(self, category: int) -> np.ndarray:
        """Indices of the rows of a category that have features."""
        return np.flatnonzero((self.categories == category) & self.has_image)


class Head(NamedTuple):
    """A task, and where its labels stand."""

    number: int
    """Of the task in the taxonomy."""
    task: Task
    category: int
    slot: int


def heads_of(taxonomy: Taxonomy) -> Iterator[tuple[int, list[Head]]]:
    """Each category with its heads, in the order of the taxonomy."""
    for category, tasks in enumerate(taxonomy.slots):
        yield (
            category,
            [Head(t, taxonomy.tasks[t], category, slot) for slot, t in enumerate(tasks)],
        )


class Scaling(NamedTuple):
    """Mean and standard deviation of the features of a category, in float64."""

    mean: np.ndarray
    """[D]"""
    deviation: np.ndarray
    """[D]; 1 where a feature does not vary."""

    @classmethod
    def of(cls, features: np.ndarray) -> "Scaling":
        """Those of [N, D] features; 0 and 1 without rows.

        Example:
            >>> Scaling.of(np.array([[1.0, 5.0], [3.0, 5.0]])).deviation.tolist()
            [1.0, 1.0]
            >>> Scaling.of(np.zeros((0, 2))).mean.tolist()
            [0.0, 0.0]
        """
        if not len(features):
            return cls(np.zeros(features.shape[1]), np.ones(features.shape[1]))
        deviation = features.std(axis=0, dtype=np.float64)
        deviation[deviation < _FLAT] = 1.0
        return cls(features.mean(axis=0, dtype=np.float64), deviation)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[N, D] float32 features with mean 0 and variance 1."""
        return ((features - self.mean) / self.deviation).astype(np.float32)


def labelled(rows: np.ndarray, targets: np.ndarray, slot: int) -> np.ndarray:
    """Places among `rows` that have a label in a slot of [N, A] targets.

    Example:
        >>> labelled(np.array([4, 2]), np.array([[0], [1], [1], [-1], [-1]]), slot=0)
        array([1])
    """
    return np.flatnonzero(targets[rows, slot] != UNKNOWN)
