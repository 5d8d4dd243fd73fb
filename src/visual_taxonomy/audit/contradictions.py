"""Near-duplicate images whose labels contradict each other."""

import numpy as np

from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.decision.held_out import HeldOut, HeldOutHead


def find_contradictions(held_out: HeldOut) -> list[Finding]:
    """Labels of near-duplicates that contradict each other, a contradiction after the other.

    Near-duplicates show one product, so at most one of their labels is right. Among the classes
    that they are labelled with, the suggested one has the largest mean probability m over the
    images of the group, and the score of the contradiction is its share,

        score = m[suggested] / sum of m over the classes they are labelled with,

    from 1 / (number of these classes), where the model cannot tell, to 1. All labels of a group
    are listed, those that agree with the suggestion last: whoever corrects sees both sides.

    Args:
        held_out: Calibrated probabilities are better.

    Example:
        >>> from visual_taxonomy.taxonomy import Taxonomy
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> ids, zeros = np.array(["7", "8"]), np.zeros(2, dtype=np.int64)
        >>> probabilities = np.array([[[0.75, 0.25]], [[0.65, 0.35]]])
        >>> rows = HeldOut(taxonomy, {"Sarees/border": [1, 1]}, ids, zeros, zeros, probabilities,
        ...                targets=np.array([[0], [1]]))
        >>> for found in find_contradictions(rows):
        ...     print(found.id, found.label, found.suggested, round(found.score, 3))
        8 none zari 0.7
        7 zari zari 0.7
    """
    found = [finding for head in held_out.heads() for finding in _of_head(held_out, head)]
    # The sort is stable: within a contradiction those that agree stay last.
    return sorted(found, key=lambda each: (-each.score, each.group, each.task.name))


def _of_head(held_out: HeldOut, head: HeldOutHead) -> list[Finding]:
    groups, members = np.unique(held_out.groups[head.rows], return_inverse=True)
    num_classes = len(head.task.classes)
    labels = np.zeros((len(groups), num_classes), dtype=bool)
    labels[members, head.labels] = True
    sums = np.zeros((len(groups), num_classes))
    # Not sums[members] += ...: of the rows of a group only one would be added.
    np.add.at(sums, members, head.probabilities)
    # Where no label has any probability the model cannot tell: all shares are the same.
    shares = np.where(labels, np.maximum(sums, np.finfo(np.float64).tiny), 0.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    suggested = shares.argmax(axis=1)
    disputed = np.flatnonzero(labels.sum(axis=1)[members] > 1)
    agrees = head.labels == suggested[members]
    order = disputed[np.argsort(agrees[disputed], kind="stable")]
    return [
        Finding(
            row=int(head.rows[i]),
            id=str(held_out.ids[head.rows[i]]),
            task=head.task,
            label=head.task.classes[head.labels[i]],
            suggested=head.task.classes[suggested[members[i]]],
            probability=float(head.probabilities[i, suggested[members[i]]]),
            probability_of_label=float(head.probabilities[i, head.labels[i]]),
            score=float(shares[members[i], suggested[members[i]]]),
            group=int(groups[members[i]]),
        )
        for i in order.tolist()
    ]
