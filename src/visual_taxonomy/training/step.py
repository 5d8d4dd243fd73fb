"""One training step and one validation pass."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.sampler import FILLER
from visual_taxonomy.evaluation import Report, evaluate
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.task_weighting import multi_task_backward
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.diagnostics import Gramian
from visual_taxonomy.training.distributed import gather_rows, sum_over_processes
from visual_taxonomy.training.history import EpochLosses
from visual_taxonomy.training.objective import Entries
from visual_taxonomy.training.setup import Run
from visual_taxonomy.training.unreadable import VALIDATION


class Validation(NamedTuple):
    """What a pass over the validation rows found."""

    report: Report
    loss: float
    """Mean over tasks of the mean over labelled rows, without class weights."""
    unreadable: int
    """Rows whose picture could not be read."""


def train_step(run: Run, batch: Batch, step: int) -> None:
    """Move the parameters along the objective of one batch.

    Nothing here waits for a GPU, unless the method does or the step is one whose Gramian
    `run.diagnostics` wants: the losses stay there until `EpochLosses.fetch`.

    Args:
        run: The run.
        batch: This process's share of the global batch, on the CPU.
        step: Number of the step in the run, for messages.
    """
    entries, categories, _ = _labels(run, batch)
    if not entries.tasks:
        return
    is_wanted = run.diagnostics.wants_gradients(run.position.step)
    is_watched = is_wanted and run.method.kind == "losses"
    features, output = _forward(run, batch, categories, entries.tasks, is_watched)
    losses = run.objective(output, entries)
    counts = dict(zip(losses, entries.counts, strict=True))
    seen: list[Gramian] = []
    weights = multi_task_backward(
        {name: run.scaler.scale(loss) for name, loss in losses.items()},
        run.method,
        run.shared,
        features,
        run.generator,
        num_labels=counts,
        options=run.options,
        reduce=None if run.averages or run.fabric.world_size == 1 else sum_over_processes,
        on_gramian=(lambda *found: seen.append(found)) if is_wanted else None,
    )
    if weights is None:
        return
    if run.diagnostics.is_due(run.position.step):
        _take_note(run, step, weights, seen)
    run.diagnostics.add_unseen(weights)
    run.scaler.unscale_(run.optimizer)
    trained = [p for group in run.optimizer.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(trained, run.config.optimizer.clip_norm)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.optimizer.zero_grad(set_to_none=True)
    # The scaler skips steps whose gradient is not finite: that is how it finds its scale.
    watched = torch.zeros_like(norm) if run.scaler.is_enabled() else norm
    used = {name: loss for name, loss in losses.items() if name in weights}
    run.position.losses.add(step, used, [counts[name] for name in used], watched)


def _take_note(run: Run, step: int, weights: dict[str, Tensor], seen: list[Gramian]) -> None:
    if not seen and run.options.update_weights_every > 1:
        return  # the weights are those of an earlier step: the next one is watched instead
    gramian = seen[0] if seen else None
    run.diagnostics.add(step, run.position.step, weights, gramian, run.scaler.get_scale())


@torch.no_grad()
def validate(run: Run) -> Validation:
    """Score the model on the validation rows; the same on all processes."""
    run.model.eval()
    run.objective.eval()
    losses = EpochLosses(must_be_finite=False)
    table = run.tables.validation
    predicted = np.full_like(table.targets, UNKNOWN)
    unreadable = 0
    for batch in run.validation_batches:
        run.unreadable.add(VALIDATION, batch)
        entries, categories, rows = _labels(run, batch)
        _, output = _forward(run, batch, categories, None)
        classes = run.model.heads.by_slot(output.logits, categories).argmax(dim=2)
        classes = classes.masked_fill(categories[:, None] < 0, UNKNOWN)
        predicted[rows.numpy()] = classes.cpu().numpy()
        unreadable += int((categories < 0).sum())
        if entries.tasks:
            of_active = output._replace(logits=output.logits[:, list(entries.tasks)])
            values = run.objective.validation_losses(of_active, entries)
            losses.add(0, values, entries.counts, torch.zeros((), device=run.device))
    losses.fetch(learning_rate=0.0)
    run.model.train()
    run.objective.train()
    report = evaluate(table.taxonomy, predicted, table.targets, table.categories)
    return Validation(report, losses.mean(), unreadable)


def _labels(run: Run, batch: Batch) -> tuple[Entries, Tensor, Tensor]:
    """The global batch's labelled entries and categories on the device, its rows on the CPU."""
    rows, categories, targets = batch.rows, batch.categories, batch.targets
    if run.fabric.world_size > 1:
        share = torch.cat([rows[:, None], categories[:, None], targets], dim=1).to(run.device)
        joined = gather_rows(run.fabric, share).cpu()
        # The fillers that make the shares equally long come last.
        joined = joined[: int((joined[:, 0] != FILLER).sum())]
        rows, categories, targets = joined[:, 0], joined[:, 1], joined[:, 2:]
    entries = run.objective.entries(categories, targets).to(run.device)
    return entries, categories.to(run.device, non_blocking=True), rows


def _forward(
    run: Run,
    batch: Batch,
    categories: Tensor,
    tasks: tuple[int, ...] | None,
    is_watched: bool = False,
) -> tuple[Tensor, HeadOutput]:
    """Features of the global batch, and what the heads make of them.

    Watched features take part in the gradients though the trunk is frozen.
    """
    with run.autocast():
        share = run.encoder(batch.images.to(run.device, non_blocking=True))
    # DistributedDataParallel averages the gradients of the processes; their sum is wanted.
    scale = run.fabric.world_size if run.averages else 1
    features = gather_rows(run.fabric, share.float(), scale)[: len(categories)]
    if is_watched:
        features.requires_grad_()
    return features, run.model.heads(features, categories, tasks)
