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
    lent_weight: float = 0.0,
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
        lent_weight: Of a row of another category whose attribute and class are called alike; 0
            lends none.
    """
    weights, biases = [], []
    for category, slots in enumerate(taxonomy.slots):
        found = []
        for slot, task in enumerate(slots):
            labels = labels_of_head(taxonomy, categories, targets, task, bool(lent_weight))
            rows = np.flatnonzero(labels != UNKNOWN)
            features = features_of(category, slot, rows)
            size = len(taxonomy.tasks[task].classes)
            of_rows = np.where(categories[rows] == category, 1.0, lent_weight)
            found.append(_fit_head(features, labels[rows], of_rows, size, inverse_penalty))
        weights.append(np.hstack([weight for weight, _ in found]).astype(np.float32))
        biases.append(np.concatenate([bias for _, bias in found]).astype(np.float32))
    return LinearHeads(taxonomy, tuple(weights), tuple(biases))


def labels_of_head(
    taxonomy: Taxonomy, categories: np.ndarray, targets: np.ndarray, task: int, is_lent: bool
) -> np.ndarray:
    """[N] class indices of a head, -1 for unknown.

    Args:
        taxonomy: What is predicted.
        categories: [N] category indices.
        targets: [N, A] class indices, -1 for unknown.
        task: Index of the head.
        is_lent: Whether rows of other categories whose attribute is called alike have a label, too,
            if their class is called like one of this head.

    Example:
        >>> tops = {"color": ["red", "blue"]}
        >>> taxonomy = Taxonomy.from_dict({"Tops": tops, "Caps": {"color": ["blue", "pink"]}})
        >>> targets = np.array([[0], [0], [1]])
        >>> labels_of_head(taxonomy, np.array([0, 1, 1]), targets, 0, is_lent=True)
        array([ 0,  1, -1])
    """
    own = taxonomy.tasks[task]
    labels = np.full(len(categories), UNKNOWN)
    for category, slots in enumerate(taxonomy.slots):
        for slot, index in enumerate(slots):
            other = taxonomy.tasks[index]
            if index != task and not (is_lent and other.attribute == own.attribute):
                continue
            places = {name: place for place, name in enumerate(own.classes)}
            # The last entry is that of index -1, an unknown label.
            of_class = np.array([*(places.get(name, UNKNOWN) for name in other.classes), UNKNOWN])
            rows = categories == category
            labels[rows] = of_class[targets[rows, slot]]
    return labels


def _fit_head(
    features: csr_matrix,
    labels: np.ndarray,
    of_rows: np.ndarray,
    size: int,
    inverse_penalty: float,
) -> tuple[np.ndarray, np.ndarray]:
    """[F, C] weights and [C] biases; `of_rows` [n] weighs the rows."""
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
        fitted = _fit_class(features, labels == label, of_rows, inverse_penalty)
        weights[:, label], biases[label] = fitted
        if len(present) == 2:
            # One fit tells both classes apart: the other one's would be its mirror image.
            other = int(present[1])
            weights[:, other], biases[other] = -weights[:, label], -biases[label]
            break
    return weights, biases


def _fit_class(
    features: csr_matrix, is_class: np.ndarray, of_rows: np.ndarray, inverse_penalty: float
) -> tuple[np.ndarray, float]:
    # liblinear takes a tenth of the time of lbfgs on n-grams; its tolerance is as loose as scores
    # allow. The seed is for its order of the rows.
    model = LogisticRegression(
        C=inverse_penalty, solver="liblinear", tol=1e-2, max_iter=1000, random_state=0
    )
    model.fit(features, is_class, sample_weight=of_rows)
    return model.coef_[0], float(model.intercept_[0])
