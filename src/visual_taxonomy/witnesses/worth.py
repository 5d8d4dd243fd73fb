"""What words are worth beside the images, on rows that neither was fitted on.

Shapes: M rows with an image and words, A slots.
"""

from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.witnesses.combination import IMAGE, NAMES, WORDS
from visual_taxonomy.witnesses.combining import fused_out_of_fold

_COPIED = 0.97
"""Share of right answers of words alone beyond which a label may be a copy of the text."""

_FEWEST_LABELS = 20
"""Of fewer labels all may be right by chance."""

_ONE_CLASS = 0.9
"""Share of the most frequent class beyond which whoever answers it is right without any text."""


class Heard(NamedTuple):
    """The most probable classes of rows that have an image and words; -1 for no answer."""

    rows: HeldOut
    """The M rows."""
    image: np.ndarray
    """[M, A] by the image."""
    words: np.ndarray
    """[M, A] by the words."""
    both: np.ndarray
    """[M, A] by the product of the two, with powers fitted on other rows."""


def hear_both(held_out: HeldOut) -> Heard:
    """What image, words and both answer.

    Raises:
        InputError: Too few rows have both.
    """
    if NAMES[WORDS] not in held_out.witnesses:
        raise InputError("no row has words that are known from the training")
    both = fused_out_of_fold(held_out, IMAGE | WORDS)
    rows = held_out.take(np.isin(held_out.ids, both.ids))
    said = rows.witnesses[NAMES[WORDS]]
    words = np.where(said.any(axis=2), said.argmax(axis=2), UNKNOWN)
    return Heard(rows, rows.most_probable(), words, both.most_probable())


def copied_labels(heard: Heard) -> dict[str, tuple[float, int]]:
    """Tasks whose labels the words spell: name -> share that words alone have right, labels.

    Such a label may have been copied from the text, and then its score says nothing of products
    whose text does not name it.
    """
    found = {}
    for head in heard.rows.heads():
        is_right = heard.words[head.rows, head.slot] == head.labels
        if len(is_right) < _FEWEST_LABELS or is_right.mean() < _COPIED:
            continue
        if np.bincount(head.labels).max() <= _ONE_CLASS * len(head.labels):
            found[head.task.name] = float(is_right.mean()), len(is_right)
    return found
