"""The labels of a batch of all processes.

Shapes: N rows of the global batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.sampler import FILLER
from visual_taxonomy.training.distillation import SoftLabels
from visual_taxonomy.training.objective import Entries, Objective
from visual_taxonomy.training.parallel import Parallel


class Labels(NamedTuple):
    """What is known of the rows of a global batch."""

    entries: Entries
    """Its labelled entries, on the device."""
    categories: Tensor
    """[N] category indices on the device, -1 where there is no image."""
    rows: Tensor
    """[N] rows of the table, on the CPU."""
    host_categories: Tensor
    """[N] the category indices on the CPU."""


def global_labels(
    batch: Batch, objective: Objective, parallel: Parallel, teacher: SoftLabels | None = None
) -> Labels:
    """Gather the labels of the shares of all processes; the same on each of them.

    `teacher` adds what it says of the rows, which are then those of its table.
    """
    rows, categories, targets = batch.rows, batch.categories, batch.targets
    device = parallel.device
    if parallel.world_size > 1:
        # One tensor, so that a step has one gather and not three; on the device, as NCCL wants it.
        share = torch.cat([rows[:, None], categories[:, None], targets], dim=1).to(device)
        joined = parallel.gather(share).cpu()
        # The fillers that make the shares equally long come last.
        joined = joined[: int((joined[:, 0] != FILLER).sum())]
        rows, categories, targets = joined[:, 0], joined[:, 1], joined[:, 2:]
    taught = None if teacher is None else teacher.of(rows, categories)
    entries = objective.entries(categories, targets, taught).to(device)
    return Labels(entries, categories.to(device, non_blocking=True), rows, categories)
