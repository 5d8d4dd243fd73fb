"""What a teacher says of the rows of a batch, and how it joins the loss of their labels.

Shapes: N rows, A slots, T' active tasks, S answered entries of the batch, C classes of the widest
task.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from visual_taxonomy.taxonomy import Taxonomy


class SoftEntries(NamedTuple):
    """The entries of a batch that a teacher has answered, task after task."""

    counts: tuple[int, ...]
    """[T'] of each active task; 0 for one that has labels alone."""
    rows: Tensor
    """[S] row of the batch of each entry."""
    positions: Tensor
    """[S] position of the entry's task among the active ones."""
    log_probabilities: Tensor
    """[S, C] of the teacher."""

    def to(self, device: torch.device) -> "SoftEntries":
        """The same entries with their tensors on a device."""
        moved = (tensor.to(device, non_blocking=True) for tensor in self[1:])
        return SoftEntries(self.counts, *moved)


class SoftLabels:
    """The teacher's log probabilities of the training rows.

    Args:
        log_probabilities: [N, A, C] float32, finite; NaN throughout a slot that has no answer.
    """

    def __init__(self, log_probabilities: Tensor) -> None:
        self.log_probabilities = log_probabilities

    def of(self, rows: Tensor, categories: Tensor) -> Tensor:
        """[n, A, C] of n rows of the table, NaN where the image could not be read.

        Args:
            rows: [n] rows of the table.
            categories: [n] their categories, -1 without an image.
        """
        # A filler is row -1: it takes another one's answers here, and loses them in the next line.
        found = self.log_probabilities[rows]
        return found.masked_fill((categories < 0)[:, None, None], torch.nan)


def answered_rows(
    taxonomy: Taxonomy, categories: Tensor, log_probabilities: Tensor
) -> dict[int, tuple[Tensor, Tensor]]:
    """Task -> rows [S'] of the batch that a teacher has answered it for, and their [S', C].

    A task of one class has nothing to learn and is left out.

    Args:
        taxonomy: Says which task stands in which slot.
        categories: [N] category indices.
        log_probabilities: [N, A, C], as `SoftLabels.of` gives them.
    """
    has_answer = ~log_probabilities[:, :, 0].isnan()
    found = {}
    for category, slots in enumerate(taxonomy.slots):
        of_category = categories == category
        for slot, task in enumerate(slots):
            rows = (of_category & has_answer[:, slot]).nonzero().flatten()
            if len(rows) and len(taxonomy.tasks[task].classes) > 1:
                found[task] = (rows, log_probabilities[rows, slot])
    return found


def soft_entries(tasks: tuple[int, ...], answers: dict[int, tuple[Tensor, Tensor]]) -> SoftEntries:
    """The answers, of at least one task, as entries of a batch with these active tasks."""
    counts = tuple(len(answers[task][0]) if task in answers else 0 for task in tasks)
    parts = [answers[task] for task in tasks if task in answers]
    rows, log_probabilities = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    positions = torch.repeat_interleave(torch.arange(len(tasks)), torch.tensor(counts))
    return SoftEntries(counts, rows, positions, log_probabilities)
