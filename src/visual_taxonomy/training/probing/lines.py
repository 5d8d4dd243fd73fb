"""The lines of a probe: simple methods, each with its answers to the validation rows.

Shapes: N validation rows, A slots, C classes of a head, S of the widest, T heads.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from visual_taxonomy.evaluation import constant_predictions, majority_classes
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy
from visual_taxonomy.training.preparation import Tables, named_class_counts
from visual_taxonomy.training.probing.encoded import Encoded, heads_of
from visual_taxonomy.training.probing.linear import LinearHead, fit_linear_heads, linear_logits
from visual_taxonomy.training.probing.nearest import neighbour_votes

MAJORITY, NEIGHBOURS, LINEAR, BALANCED = "majority class", "kNN vote", "linear", "linear, balanced"
HALF_PRIOR, WHOLE_PRIOR = "linear, half prior", "linear, whole prior"
DECIDED = "linear, decided"
"""The linear probe with the decision of the house, cross-fitted."""
CURVE_LINE = HALF_PRIOR
"""The line of a learning curve."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """[N, C] probabilities of logits, in float64.

    Example:
        >>> softmax(np.array([[0.0, 0.0]])).tolist()
        [[0.5, 0.5]]
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return powers / powers.sum(axis=1, keepdims=True)


def without_prior(logits: np.ndarray, counts: ArrayLike, share: float) -> np.ndarray:
    """[N, C] logits less a share of the log priors; classes without a training row stay behind.

    Example:
        >>> without_prior(np.zeros((1, 2)), [1, 3], share=1.0).argmax()
        np.int64(0)
    """
    labels = np.asarray(counts, dtype=np.float64)
    prior = np.where(labels > 0, labels, 1.0) / max(labels.sum(), 1.0)
    # A class without a row has no prior to take away; its logit is far below all others.
    return logits - share * np.where(labels > 0, np.log(prior), 0.0)


def by_slot(taxonomy: Taxonomy, asked: Encoded, of_heads: Sequence[np.ndarray]) -> np.ndarray:
    """[N, A, S] float32 of what each head says of its rows; 0 where it says nothing."""
    widest = max(len(task.classes) for task in taxonomy.tasks)
    whole = np.zeros((len(asked.categories), taxonomy.num_slots, widest), np.float32)
    for category, heads in heads_of(taxonomy):
        rows = asked.of_category(category)
        for head in heads:
            values = of_heads[head.number]
            whole[rows, head.slot, : values.shape[1]] = values
    return whole


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """[N, A] classes; -1 where nothing is said."""
    return np.where(probabilities.any(axis=2), probabilities.argmax(axis=2), UNKNOWN)


def answers_of_lines(
    tables: Tables,
    training: Encoded,
    asked: Encoded,
    linear: Sequence[LinearHead],
    c: float,
    neighbours: int,
) -> dict[str, np.ndarray]:
    """Line -> [N, A] classes, from the simplest line on; all but `DECIDED`."""
    taxonomy, counts = tables.taxonomy, named_class_counts(tables.training)
    logits = linear_logits(taxonomy, linear, asked)
    balanced = fit_linear_heads(taxonomy, training, c, is_balanced=True)

    def corrected(share: float) -> list[np.ndarray]:
        pairs = zip(taxonomy.task_names, logits, strict=True)
        return [without_prior(each, counts[name], share) for name, each in pairs]

    said = {
        NEIGHBOURS: neighbour_votes(taxonomy, training, asked, neighbours),
        LINEAR: [softmax(each) for each in logits],
        BALANCED: [softmax(each) for each in linear_logits(taxonomy, balanced, asked)],
        HALF_PRIOR: [softmax(each) for each in corrected(0.5)],
        WHOLE_PRIOR: [softmax(each) for each in corrected(1.0)],
    }
    majority = constant_predictions(majority_classes(taxonomy, counts), asked.categories)
    answers = {name: most_probable(by_slot(taxonomy, asked, each)) for name, each in said.items()}
    return {MAJORITY: majority, **answers}


def curve_answers(
    taxonomy: Taxonomy, training: Encoded, asked: Encoded, c: float
) -> tuple[np.ndarray, np.ndarray]:
    """[T] labels of each head among the training rows, and [N, A] answers for a learning curve.

    The line is `CURVE_LINE`: its score does not wait for a decision rule, which subsets are too
    small for.
    """
    heads = fit_linear_heads(taxonomy, training, c)
    counts = label_counts(taxonomy, training)
    logits = linear_logits(taxonomy, heads, asked)
    said = [
        softmax(without_prior(each, of_head, 0.5))
        for each, of_head in zip(logits, counts, strict=True)
    ]
    labels = np.array([of_head.sum() for of_head in counts])
    return labels, most_probable(by_slot(taxonomy, asked, said))


def label_counts(taxonomy: Taxonomy, training: Encoded) -> list[np.ndarray]:
    """[T] counts [C] of the labels of each class; rows whose image could not be read count too."""
    found = []
    for category, heads in heads_of(taxonomy):
        rows = training.categories == category
        for head in heads:
            labels = training.targets[rows, head.slot]
            size = len(head.task.classes)
            found.append(np.bincount(labels[labels != UNKNOWN], minlength=size))
    return found
