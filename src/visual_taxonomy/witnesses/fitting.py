"""Fit linear heads with scikit-learn; nothing that predicts imports this.

Shapes: N rows, A slots, F features, C classes of a head, S classes of all heads of a category.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy
from visual_taxonomy.witnesses.linear import LinearHeads

FeaturesOf = Callable[[int, int, np.ndarray], csr_matrix]
"""(category, slot, rows) -> the features [n, F] of these rows for this head, float64."""


def fit_heads(
    taxonomy: Taxonomy,
    categories: np.ndarray,
    targets: np.ndarray,
    features_of: FeaturesOf,
    inverse_penalty: float,
) -> LinearHeads:
    """Fit every class of every head against the other classes of its head.

    A class without a labelled row gets no weight, and the bias by which one in n + 1 rows is of it.
    A head of one class that has labels gets biases alone, and one without labels no model.

    Args:
        taxonomy: What is predicted.
        categories: [N] category indices.
        targets: [N, A] class indices, -1 for unknown.
        features_of: Gives the features.
        inverse_penalty: C of `LogisticRegression`, > 0.
    """
    weights, biases = [], []
    for category, slots in enumerate(taxonomy.slots):
        members = np.flatnonzero(categories == category)
        found = []
        for slot, task in enumerate(slots):
            rows = members[targets[members, slot] != UNKNOWN]
            features = features_of(category, slot, rows)
            size = len(taxonomy.tasks[task].classes)
            found.append(_fit_head(features, targets[rows, slot], size, inverse_penalty))
        weights.append(np.hstack([weight for weight, _ in found]).astype(np.float32))
        biases.append(np.concatenate([bias for _, bias in found]).astype(np.float32))
    return LinearHeads(taxonomy, tuple(weights), tuple(biases))


def _fit_head(
    features: csr_matrix, labels: np.ndarray, size: int, inverse_penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """[F, C] weights and [C] biases."""
    weights = np.zeros((features.shape[1], size))
    if not len(labels):
        return weights, np.full(size, np.nan)
    counts = np.bincount(labels, minlength=size)
    # As if one more row were of any class that has none: its z is that of 1 in n + 1.
    biases = np.full(size, -np.log(len(labels)))
    present = np.flatnonzero(counts)
    if len(present) == 1:
        biases[present] = -biases[present]
        return weights, biases
    for label in present.tolist():
        weights[:, label], biases[label] = _fit_class(features, labels == label, inverse_penalty)
        if len(present) == 2:
            # One fit tells both classes apart: the other one's would be its mirror image.
            other = int(present[1])
            weights[:, other], biases[other] = -weights[:, label], -biases[label]
            break
    return weights, biases


def _fit_class(
    features: csr_matrix, is_class: np.ndarray, inverse_penalty: float
) -> tuple[np.ndarray, float]:
    # liblinear takes a tenth of the time of lbfgs on n-grams; its tolerance is as loose as scores
    # allow. The seed is for its order of the rows.
    model = LogisticRegression(
        C=inverse_penalty, solver="liblinear", tol=1e-2, max_iter=1000, random_state=0
    )
    model.fit(features, is_class)
    return model.coef_[0], float(model.intercept_[0])
