"""The labelled cells of all heads as flat tables, which every fit works on.

Shapes: N rows, M cells (a row and a head that has a label and an answer for it), T heads (tasks),
C classes of the widest head.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.tables import FLOOR, padded
from visual_taxonomy.taxonomy import Taxonomy

NOWHERE = -1e30
"""Score of a class that a head does not have; -inf would make NaN in products."""


@dataclass(frozen=True)
class Cells:
    """Probabilities and labels, cell by cell, those of a head together.

    Args:
        taxonomy: T tasks.
        log_prior: [T, C] logarithms of the shares of the training labels; 0 beyond the classes.
        rows: [M] rows of the held-out table.
        slots: [M]
        heads: [M] tasks, ascending.
        labels: [M] true classes.
        logs: [M, C] logarithms of the model's probabilities; 0 beyond the classes.
        groups: [M] near-duplicates have the same one.
    """

    taxonomy: Taxonomy
    log_prior: np.ndarray
    rows: np.ndarray
    slots: np.ndarray
    heads: np.ndarray
    labels: np.ndarray
    logs: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sizes(self) -> np.ndarray:
        """[T] classes of each head."""
        return np.array([len(task.classes) for task in self.taxonomy.tasks])

    @cached_property
    def has_class(self) -> np.ndarray:
        """[T, C] bool."""
        return np.arange(self.logs.shape[1]) < self.sizes[:, None]

    @cached_property
    def support(self) -> np.ndarray:
        """[T] labels of each head."""
        return np.bincount(self.heads, minlength=len(self.taxonomy.tasks))

    def take(self, chosen: np.ndarray) -> "Cells":
        """Some of the cells, by a mask of [M] bool or by index."""
        # By mask or ascending index only: that the cells of a head stand together is relied upon.
        arrays = (self.rows, self.slots, self.heads, self.labels, self.logs, self.groups)
        return Cells(self.taxonomy, self.log_prior, *(array[chosen] for array in arrays))


def read_cells(held_out: HeldOut) -> Cells:
    """All labelled cells of held-out rows."""
    # `heads()` goes in the order of the tasks, so that `Cells.heads` ascends.
    heads = list(held_out.heads())
    classes = held_out.probabilities.shape[2]
    labels = np.concatenate([head.labels for head in heads])
    logs = np.zeros((len(labels), classes))
    end = 0
    for head in heads:
        start, end = end, end + len(head.labels)
        # One true class with a probability of 0 would make the NLL of its head infinite.
        floored = np.maximum(head.probabilities, FLOOR)
        logs[start:end, : floored.shape[1]] = np.log(floored)
    rows = np.concatenate([head.rows for head in heads])
    support = [len(head.labels) for head in heads]
    return Cells(
        taxonomy=held_out.taxonomy,
        log_prior=padded([log_prior(head.class_counts).tolist() for head in heads], classes),
        rows=rows,
        slots=np.repeat([head.slot for head in heads], support),
        heads=np.repeat(np.arange(len(heads)), support),
        labels=labels,
        logs=logs,
        groups=held_out.groups[rows],
    )


def log_prior(class_counts: np.ndarray) -> np.ndarray:
    """[C] logarithms of the classes' shares of the training labels.

    Where a class has no training label every count is raised by 1: its share must not be 0, which
    would make the rule choose it always, and raising its own count alone would put it level with a
    class that was seen once. Other counts stay as they are, as the losses count them.

    Example:
        >>> np.exp(log_prior(np.array([3, 1]))), np.exp(log_prior(np.array([2, 0])))
        (array([0.75, 0.25]), array([0.75, 0.25]))
    """
    counts = class_counts + (1.0 if (class_counts == 0).any() else 0.0)
    return np.log(counts / counts.sum())
