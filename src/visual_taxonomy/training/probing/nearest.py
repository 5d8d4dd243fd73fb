"""Nearest neighbours: the training products whose images are most alike vote.

Shapes: n rows asked about, m training rows of the category, D features, C classes of a head.
"""

import numpy as np

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.encoded import Encoded, heads_of, labelled

_TIE = 1e-3
"""Weight of a similarity beside a vote: the k of a vote, each at most 1, sum to less than one vote
up to k = 500, so that they decide between equal votes only."""


def neighbour_votes(
    taxonomy: Taxonomy, training: Encoded, asked: Encoded, neighbours: int
) -> list[np.ndarray]:
    """[T] shares [n, C] of the votes; between equal votes the more similar neighbours win.

    The neighbours are those of the highest cosine among the training rows of the category with a
    label of the head; fewer where there are fewer. A head without labels has shares of 0.

    Args:
        taxonomy: T tasks.
        training: Rows that vote.
        asked: Rows to be answered; those without features are left out.
        neighbours: How many vote.
    """
    found: list[np.ndarray] = []
    for category, heads in heads_of(taxonomy):
        rows, of_asked = training.of_category(category), asked.of_category(category)
        cosines = _unit(asked.features[of_asked]) @ _unit(training.features[rows]).T
        for head in heads:
            places = labelled(rows, training.targets, head.slot)
            labels = training.targets[rows[places], head.slot]
            votes = _votes(cosines[:, places], labels, len(head.task.classes), neighbours)
            found.append(votes)
    return found


def _votes(cosines: np.ndarray, labels: np.ndarray, size: int, neighbours: int) -> np.ndarray:
    votes = np.zeros((len(cosines), size), np.float32)
    k = min(neighbours, len(labels))
    if not k or not len(cosines):
        return votes
    nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    weights = 1.0 + _TIE * np.take_along_axis(cosines, nearest, axis=1)
    np.add.at(votes, (np.arange(len(cosines))[:, None], labels[nearest]), weights)
    return votes / votes.sum(axis=1, keepdims=True)


def _unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    # Features of all zeros, as a ReLU may give, are like nothing: cosine 0.
    return features / np.maximum(lengths, np.finfo(np.float32).tiny)
