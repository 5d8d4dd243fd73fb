"""Linear probes: a logistic regression a head, as weights of a plain linear classifier.

Shapes: N rows, D features, C classes of a head, C' classes with a training row, T heads.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.encoded import Encoded, Scaling, heads_of, labelled

ABSENT_LOGIT = -30.0
"""Logit of a class without a training row: the others have mean 0, so its probability is below
1e-13. Not -inf, which no checkpoint may hold."""

_STEPS = 1000
"""Of L-BFGS; it takes 10 to 100."""


class LinearHead(NamedTuple):
    """logits = features @ weight.T + bias, of features as the backbone gives them."""

    weight: np.ndarray
    """[C, D] float32."""
    bias: np.ndarray
    """[C] float32."""

    def logits(self, features: np.ndarray) -> np.ndarray:
        """[N, C] of features [N, D]."""
        return features @ self.weight.T + self.bias


def fit_linear_heads(
    taxonomy: Taxonomy, training: Encoded, c: float, is_balanced: bool = False
) -> list[LinearHead]:
    """[T] regressions of scikit-learn on features that are standardised once a category.

    They minimise c * sum of the cross-entropies + half the squared norm of the weights. A head
    with labels of one class always answers it; a head without labels says nothing (all logits 0).

    Args:
        taxonomy: T tasks.
        training: The rows.
        c: Inverse strength of the penalty.
        is_balanced: Weight each row by the inverse share of its class.

    Warns:
        UserWarning: A regression did not converge.
    """
    found: list[LinearHead] = []
    unfinished: list[str] = []
    for category, heads in heads_of(taxonomy):
        rows = training.of_category(category)
        features = training.features[rows]
        scaling = Scaling.of(features)
        scaled = scaling(features)
        for _, task, _, slot in heads:
            places = labelled(rows, training.targets, slot)
            labels = training.targets[rows[places], slot]
            present = np.unique(labels)
            if len(present) < 2:
                found.append(_constant(present, len(task.classes), features.shape[1]))
                continue
            model, has_converged = _fit(scaled[places], labels, c, is_balanced)
            if not has_converged:
                unfinished.append(task.name)
            found.append(_unscaled(model, scaling, len(task.classes)))
    if unfinished:
        warnings.warn(
            f"{len(unfinished)} linear probes have not converged in {_STEPS} steps, first that of "
            f"'{unfinished[0]}'; lower `c`",
            stacklevel=2,
        )
    return found


def _fit(
    features: np.ndarray, labels: np.ndarray, c: float, is_balanced: bool
) -> tuple[LogisticRegression, bool]:
    weights = "balanced" if is_balanced else None
    model = LogisticRegression(C=c, class_weight=weights, max_iter=_STEPS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features, labels)
    return model, not any(issubclass(each.category, ConvergenceWarning) for each in caught)


def _unscaled(model: LogisticRegression, scaling: Scaling, size: int) -> LinearHead:
    """The regression on features that are not standardised: the same logits."""
    weight, bias = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    # Of two classes scikit-learn keeps the difference of their logits alone; half of it each way
    # keeps the mean at 0, as it is with more classes.
    if len(model.classes_) == 2:
        weight, bias = (np.concatenate([-each, each]) / 2 for each in (weight, bias))
    weight = weight / scaling.deviation
    whole = LinearHead(
        np.zeros((size, weight.shape[1]), np.float32), np.full(size, ABSENT_LOGIT, np.float32)
    )
    whole.weight[model.classes_] = weight
    whole.bias[model.classes_] = bias - weight @ scaling.mean
    return whole


def _constant(present: np.ndarray, size: int, width: int) -> LinearHead:
    """A head that has seen one class, or none."""
    bias = np.full(size, ABSENT_LOGIT if len(present) else 0.0, np.float32)
    bias[present] = 0.0
    return LinearHead(np.zeros((size, width), np.float32), bias)


def linear_logits(
    taxonomy: Taxonomy, heads: Sequence[LinearHead], asked: Encoded
) -> list[np.ndarray]:
    """[T] logits [n, C] of the rows of each head's category that have features, in their order."""
    return [
        heads[head.number].logits(asked.features[asked.of_category(category)])
        for category, of_category in heads_of(taxonomy)
        for head in of_category
    ]
