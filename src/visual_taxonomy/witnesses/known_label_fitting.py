"""Fit what the other labels of a row say on labelled rows; needs scikit-learn.

Shapes: N rows, A slots.
"""

import numpy as np
from scipy.sparse import csr_matrix

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.witnesses.fitting import fit_heads
from visual_taxonomy.witnesses.known_labels import KnownLabels, one_hot
from visual_taxonomy.witnesses.linear import class_parts

_INVERSE_PENALTY = 1.0
"""C of the logistic regressions; a class of few rows must not be sure of its neighbours."""


def fit_known_labels(
    taxonomy: Taxonomy, categories: np.ndarray, targets: np.ndarray
) -> KnownLabels:
    """Fit every head on the one-hot other labels of its rows; a hole is a row of zeros.

    Args:
        taxonomy: What is predicted, and from what.
        categories: [N] category indices.
        targets: [N, A] class indices, -1 for unknown.
    """

    def features_of(category: int, slot: int, rows: np.ndarray) -> csr_matrix:
        marks = one_hot(taxonomy, category, targets[rows]).astype(np.float64)
        # Without its own label, which a hole does not have.
        marks[:, class_parts(taxonomy, category)[slot]] = 0.0
        return csr_matrix(marks)

    return KnownLabels(fit_heads(taxonomy, categories, targets, features_of, _INVERSE_PENALTY))
