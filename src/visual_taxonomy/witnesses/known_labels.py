"""What the labels that a row has say of those it lacks: a top without sleeves is a woman's.

For `vtax fill` and the audit; no score counts it, since rows to be scored have no labels to look
at.

Shapes: N rows, A slots, C classes of the widest task, S classes of all heads of a category.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy
from visual_taxonomy.witnesses.linear import LinearHeads, class_parts


@dataclass(frozen=True, eq=False)
class KnownLabels:
    """The linear models of all heads on the other labels; made by `fit_known_labels`.

    Args:
        heads: Weights [S, S] of each category; 0 from the classes of a head to themselves.
    """

    heads: LinearHeads

    def probabilities(self, targets: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """[N, A, C] float32; 0 where a row has no other label, and for heads without a model.

        Args:
            targets: [N, A] class indices, -1 for unknown. That of a cell itself is not looked at.
            categories: [N] category indices.
        """
        taxonomy = self.heads.taxonomy
        shape = (len(targets), taxonomy.num_slots, self.heads.most_classes)
        found = np.zeros(shape, np.float32)
        for row, category in enumerate(categories.tolist()):
            marks = one_hot(taxonomy, category, targets[row : row + 1])[0]
            # Row by row: in a product of the whole batch the last digits would depend on it.
            scores = marks @ self.heads.weights[category] + self.heads.biases[category]
            found[row] = self.heads.probabilities(scores, category)
        is_known = targets != UNKNOWN
        others = is_known.sum(axis=1, keepdims=True) - is_known
        return np.where((others > 0)[..., None], found, np.float32(0.0))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Name -> array, for a file."""
        return self.heads.to_arrays()

    @classmethod
    def from_arrays(cls, taxonomy: Taxonomy, arrays: Mapping[str, np.ndarray]) -> "KnownLabels":
        """The inverse of `to_arrays`.

        Raises:
            InputError: The arrays do not fit the taxonomy.
            KeyError: One is missing.
        """
        return cls(LinearHeads.from_arrays(taxonomy, arrays))


def one_hot(taxonomy: Taxonomy, category: int, targets: np.ndarray) -> np.ndarray:
    """[n, S] float32: 1 at the class of each known label of rows [n, A] of a category.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "dye": ["red"]}})
        >>> one_hot(taxonomy, 0, np.array([[1, 0], [UNKNOWN, 0]]))
        array([[0., 1., 1.],
               [0., 0., 1.]], dtype=float32)
    """
    parts = class_parts(taxonomy, category)
    marks = np.zeros((len(targets), parts[-1].stop), np.float32)
    for slot, part in enumerate(parts):
        rows = np.flatnonzero(targets[:, slot] != UNKNOWN)
        marks[rows, part.start + targets[rows, slot]] = 1.0
    return marks
