"""A pass over the validation rows.

Shapes: N validation rows, A slots, C classes of the widest task.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.views import products_of
from visual_taxonomy.decision.view_fusion import fuse_views
from visual_taxonomy.evaluation import Report, evaluate
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.history import EpochLosses
from visual_taxonomy.training.labels import global_labels
from visual_taxonomy.training.model import TrainedModel
from visual_taxonomy.training.objective import Objective


class Validation(NamedTuple):
    """Scores of an epoch, and the answers behind them."""

    report: Report
    loss: float
    """Mean over tasks of the mean over labelled rows, without class weights."""
    unreadable: int
    """Rows whose image could not be read."""
    predicted: np.ndarray
    """[N, A] most probable class of each row of the validation table; -1 where there is none."""
    probabilities: np.ndarray
    """[N, A, C] float32 softmax; 0 where there is no image, slot or class."""


@torch.no_grad()
def validate(
    batches: Iterable[Batch],
    table: Table,
    model: TrainedModel,
    objective: Objective,
    averages_flip: bool = False,
) -> Validation:
    """Score the model on the rows of a table; the same on all processes.

    Args:
        batches: The images of the rows in order, this process's share of each batch.
        table: The rows.
        model: Left in training mode.
        objective: For the loss; left in training mode.
        averages_flip: Whether probabilities are the mean of those of the image and of its mirror
            image (`tta=flip`); the loss is that of the image.

    A row of several images is answered once; the loss is that of its images, one by one, as in
    training.
    """
    model.train(False)
    objective.eval()
    parallel = model.parallel
    losses = EpochLosses(must_be_finite=False)
    num_images = len(table.images)
    predicted = np.full((num_images, table.targets.shape[1]), UNKNOWN, table.targets.dtype)
    most_classes = max(len(task.classes) for task in table.taxonomy.tasks)
    probabilities = np.zeros((*predicted.shape, most_classes), dtype=np.float32)
    is_readable = np.zeros(num_images, dtype=bool)
    for batch in batches:
        entries, categories, rows, _ = global_labels(batch, objective, parallel)
        _, output = model(batch.images, categories, None)
        classes = output.logits.argmax(dim=2)
        shares = _probabilities(output)
        if averages_flip:
            _, of_mirrored = model(batch.images.flip(3), categories, None)
            shares = (shares + _probabilities(of_mirrored)) / 2
            classes = shares.argmax(dim=2)
        classes = classes.masked_fill(categories[:, None] < 0, UNKNOWN)
        predicted[rows.numpy()] = classes.cpu().numpy()
        shares = shares.masked_fill(categories[:, None, None] < 0, 0.0)
        probabilities[rows.numpy()] = shares.cpu().numpy()
        is_readable[rows.numpy()] = (categories >= 0).cpu().numpy()
        if entries.tasks:
            by_slot = entries._replace(positions=entries.slots)
            values = objective.validation_losses(output, by_slot)
            losses.add(0, values, entries.counts, torch.zeros((), device=parallel.device))
    losses.fetch(learning_rate=0.0)
    model.train()
    objective.train()
    if table.starts is not None:
        products = products_of(table.starts)
        fused = fuse_views(probabilities, products, is_readable, len(table))
        probabilities, is_readable = fused.probabilities, fused.is_answered
        predicted = np.where(is_readable[:, None], probabilities.argmax(axis=2), UNKNOWN)
    unreadable = int((~is_readable).sum())
    report = evaluate(table.taxonomy, predicted, table.targets, table.categories)
    return Validation(report, losses.mean(), unreadable, predicted, probabilities)


def _probabilities(output: HeadOutput) -> Tensor:
    """[N, A, C] probabilities by slot; 0 where there is no image, slot or class."""
    # A slot that a category does not have is -inf throughout: softmax gives NaN there.
    return output.logits.softmax(dim=2).nan_to_num(0.0)
