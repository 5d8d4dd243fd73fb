"""A linear model for each head: from features of a row to probabilities of its classes.

    p_c = s(z_c) / sum_j s(z_j),  z = x W + b,  s(z) = 1 / (1 + exp(-z))

A class is told from all others by one z, because this is fitted ten times faster than a softmax and
is as good. A head of two classes has z and -z.

Shapes: N rows, K categories, A slots, C classes of the widest task, F features, S classes of all
heads of a category, one head after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

_FARTHEST = 60.0
"""|z| beyond this is cut: its probability is nothing in float64, and exp would overflow."""


class SparseRows(NamedTuple):
    """Rows of features of which most are 0, as in the CSR format."""

    starts: np.ndarray
    """[N + 1] where in the next two each row begins and ends."""
    columns: np.ndarray
    """[nnz] features, rising in each row."""
    values: np.ndarray
    """[nnz] float32."""

    def row(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Features of a row and their values."""
        part = slice(self.starts[number], self.starts[number + 1])
        return self.columns[part], self.values[part]


def class_parts(taxonomy: Taxonomy, category: int) -> list[slice]:
    """Where in [S] the classes of each head of a category stand.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "dye": ["red"]}})
        >>> class_parts(taxonomy, 0)
        [slice(0, 2, None), slice(2, 3, None)]
    """
    ends = np.cumsum([len(taxonomy.tasks[task].classes) for task in taxonomy.slots[category]])
    return [slice(*pair) for pair in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]


@dataclass(frozen=True, eq=False)
class LinearHeads:
    """Weights of all heads.

    Args:
        taxonomy: K categories.
        weights: [K] arrays [F, S] float32; F may differ from category to category.
        biases: [K] arrays [S] float32; NaN for the classes of a head without a model.

    Raises:
        InputError: The shapes do not fit the taxonomy or each other.
    """

    taxonomy: Taxonomy
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        expected = [len(classes) for classes in self._places]
        found = [len(bias) for bias in self.biases]
        wide = [weight.shape[1:] for weight in self.weights]
        if found != expected or wide != [(size,) for size in expected]:
            raise InputError("the weights of a linear model do not fit the taxonomy")

    @cached_property
    def _places(self) -> list[np.ndarray]:
        """[K] arrays [S] of the places in [A * C] where the classes of a category stand."""
        return [
            np.concatenate(
                [
                    np.arange(part.stop - part.start) + slot * self.most_classes
                    for slot, part in enumerate(class_parts(self.taxonomy, category))
                ]
            )
            for category in range(len(self.taxonomy.slots))
        ]

    @cached_property
    def most_classes(self) -> int:
        """C."""
        return max(len(task.classes) for task in self.taxonomy.tasks)

    def probabilities(self, scores: np.ndarray, category: int) -> np.ndarray:
        """[A, C] float32 of one row; 0 where there is no model, slot or class.

        Args:
            scores: [S] z of the row.
            category: Index of its category.
        """
        table = np.zeros(self.taxonomy.num_slots * self.most_classes)
        known = np.isfinite(scores)
        bounded = np.where(known, scores, 0.0).clip(-_FARTHEST, _FARTHEST).astype(np.float64)
        table[self._places[category]] = known / (1.0 + np.exp(-bounded))
        shares = table.reshape(self.taxonomy.num_slots, self.most_classes)
        sums = shares.sum(axis=1, keepdims=True)
        # 0 only where no class has a score: the least s(z) is about 1e-26.
        return (shares / np.where(sums > 0, sums, 1.0)).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Name -> array, for a file."""
        named = {f"weights_{k}": each for k, each in enumerate(self.weights)}
        return named | {f"biases_{k}": each for k, each in enumerate(self.biases)}

    @classmethod
    def from_arrays(cls, taxonomy: Taxonomy, arrays: Mapping[str, np.ndarray]) -> "LinearHeads":
        """The inverse of `to_arrays`.

        Raises:
            InputError: The arrays do not fit the taxonomy.
            KeyError: An array is missing.
        """
        numbers = range(len(taxonomy.categories))
        return cls(
            taxonomy,
            tuple(arrays[f"weights_{k}"] for k in numbers),
            tuple(arrays[f"biases_{k}"] for k in numbers),
        )
