"""Labels that are probably wrong, by what a model says that was not trained on them.

Shapes: n labelled rows of a task, C classes of the task.
"""

import numpy as np

from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.decision.held_out import HeldOut, HeldOutHead

SLIP_RATE = 0.03
"""Share of wrong labels that `slip_probabilities` assumes; ten public test sets have at least 3.3 %
on average (Northcutt, Athalye and Mueller, NeurIPS 2021, https://arxiv.org/abs/2103.14749)."""


def class_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[C] mean probability of each class over the rows that are labelled with it.

        t[c] = mean of p[i, c] over all i with label c

    A class without a label has 1: no row is sure of it.

    Args:
        probabilities: [n, C] out of fold.
        labels: [n] classes.

    References:
        Northcutt, Jiang and Chuang, JAIR 2021, https://arxiv.org/abs/1911.00068, equation 2.

    Example:
        >>> class_thresholds(np.array([[0.5, 0.5], [0.75, 0.25]]), np.array([0, 0]))
        array([0.625, 1.   ])
    """
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, _of_label(probabilities, labels), minlength=len(counts))
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def slip_probabilities(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] probability that each label is a slip, if slips hit every other class alike.

        s = r (1 - p) / (r (1 - p) + (1 - r) (C - 1) p)

    is Bayes' rule for a label whose class has probability p, with the rate r = `SLIP_RATE`. Of
    two labels with one p the slip is the one with fewer classes to slip to.

    Args:
        probabilities: [n, C], C >= 2.
        labels: [n] classes.

    Example:
        >>> slip_probabilities(np.array([[0.03, 0.97], [0.5, 0.5]]), np.array([0, 0]))
        array([0.5 , 0.03])
    """
    own = _of_label(probabilities, labels)
    slipped = SLIP_RATE * (1.0 - own)
    return slipped / (slipped + (1.0 - SLIP_RATE) * (probabilities.shape[1] - 1) * own)


def label_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] in [-1/2, 1]: how likely each label is wrong; comparable between tasks.

        score = (max of p over the other classes - p[label] + slip probability) / 2

    The margin finds classes that are taken for one another, the slip probability labels that are
    out of place altogether.

    Args:
        probabilities: [n, C]; calibrated ones make tasks comparable.
        labels: [n] classes.

    Example:
        >>> label_scores(np.array([[0.03, 0.97], [1.0, 0.0]]), np.array([0, 0])).round(2)
        array([ 0.72, -0.5 ])
    """
    if probabilities.shape[1] < 2:  # nothing else it could be
        return np.full(len(labels), -0.5)
    others = probabilities.copy()
    # Below every probability, so that the own class is never the best of the others.
    others[np.arange(len(labels)), labels] = -1.0
    margin = others.max(axis=1) - _of_label(probabilities, labels)
    return (margin + slip_probabilities(probabilities, labels)) / 2


def is_suspect(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] bool: the class of the label is below its threshold, and another is more probable.

    Args:
        probabilities: [n, C] out of fold.
        labels: [n] classes.
    """
    own = _of_label(probabilities, labels)
    is_low = own < class_thresholds(probabilities, labels)[labels]
    return is_low & (own < probabilities.max(axis=1, initial=0.0))


def find_wrong_labels(held_out: HeldOut) -> list[Finding]:
    """Labels that are probably wrong, of all heads together, the most suspicious first.

    A head with one class has none.

    Args:
        held_out: With calibrated probabilities of models that were not trained on the rows.

    Example:
        >>> from visual_taxonomy.taxonomy import Taxonomy
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> ids, zeros = np.array(["7", "8"]), np.zeros(2, dtype=np.int64)
        >>> probabilities = np.array([[[0.9, 0.1]], [[0.2, 0.8]]])
        >>> rows = HeldOut(taxonomy, {"Sarees/border": [2, 0]}, ids, zeros, np.arange(2),
        ...                probabilities, targets=np.zeros((2, 1), dtype=np.int64))
        >>> for found in find_wrong_labels(rows):
        ...     print(found.id, found.label, found.suggested)
        8 zari none
    """
    found = [finding for head in held_out.heads() for finding in _of_head(held_out, head)]
    # Ties go by name and row: the same findings are always in the same order.
    return sorted(found, key=lambda each: (-each.score, each.task.name, each.row))


def _of_head(held_out: HeldOut, head: HeldOutHead) -> list[Finding]:
    probabilities, labels, classes = head.probabilities, head.labels, head.task.classes
    suggested = probabilities.argmax(axis=1) if len(labels) else labels
    scores = label_scores(probabilities, labels)
    return [
        Finding(
            row=int(head.rows[i]),
            id=str(held_out.ids[head.rows[i]]),
            task=head.task,
            label=classes[labels[i]],
            suggested=classes[suggested[i]],
            probability=float(probabilities[i, suggested[i]]),
            probability_of_label=float(probabilities[i, labels[i]]),
            score=float(scores[i]),
            group=int(held_out.groups[head.rows[i]]),
        )
        for i in np.flatnonzero(is_suspect(probabilities, labels)).tolist()
    ]


def _of_label(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return probabilities[np.arange(len(labels)), labels]
