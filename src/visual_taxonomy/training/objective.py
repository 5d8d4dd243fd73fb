"""From logits and labels with holes to one loss for each task that has a label in the batch.

Shapes: N rows, A slots, T tasks, T' active tasks, E labelled entries of the batch, C classes.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from visual_taxonomy.class_weighting import build_class_weighting, find_class_weighting
from visual_taxonomy.config import ObjectiveConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES, Loss, build_loss, find_loss
from visual_taxonomy.losses.distillation import distillation_loss
from visual_taxonomy.losses.smoothed import Smoothed
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy
from visual_taxonomy.training.distillation import SoftEntries, answered_rows, soft_entries


class Entries(NamedTuple):
    """The labelled entries of a batch, task after task."""

    tasks: tuple[int, ...]
    """[T'] the active tasks: those with a label in the batch."""
    counts: tuple[int, ...]
    """[T'] entries of each."""
    rows: Tensor
    """[E] row of the batch of each entry."""
    positions: Tensor
    """[E] position of the entry's task among the active ones."""
    slots: Tensor
    """[E] slot of the entry's task in its category."""
    classes: Tensor
    """[E] class index of each entry."""
    soft: SoftEntries | None = None
    """What a teacher says of the rows; its tasks are active without a label too."""

    def to(self, device: torch.device) -> "Entries":
        """The same entries with their tensors on a device."""
        moved = (each.to(device, non_blocking=True) for each in self[2:6])
        soft = None if self.soft is None else self.soft.to(device)
        rows, positions, slots, classes = moved
        return Entries(self.tasks, self.counts, rows, positions, slots, classes, soft)

    @property
    def num_rows(self) -> tuple[int, ...]:
        """[T'] rows behind each loss: labelled, or answered by a teacher if these are more."""
        if self.soft is None:
            return self.counts
        return tuple(map(max, self.counts, self.soft.counts))


class Objective(nn.Module):
    """The loss of every task, with its class weights for the epoch.

    Built from the labels of the training split only. A task of one class has nothing to learn
    and never becomes active.

    Args:
        taxonomy: The T tasks.
        class_counts: [T] tensors [C] of training labels of each class.
        config: Loss, schedule and their parameters.
        num_epochs: Length of the run, for schedules that start at a share of it.

    Raises:
        InputError: A loss, schedule or parameter does not exist.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        class_counts: Sequence[Tensor],
        config: ObjectiveConfig,
        num_epochs: int,
    ) -> None:
        super().__init__()
        self.taxonomy = taxonomy
        self._task_of_slot = _task_of_slot(taxonomy)
        kind = find_loss(config.loss_type)
        rule = find_class_weighting(config.train_rule)
        self.losses = _losses(config.loss_type, class_counts, _with_flags(kind, config, "loss"))
        # A tuple, not a ModuleList: with or without smoothing, the state has the same names.
        self._smoothed = _with_smoothing(self.losses, config)
        self.warm_up = _losses(kind.warm_up, class_counts, {}) if kind.warm_up else None
        # Half the run, as in the paper of IB.
        start = num_epochs // 2 if config.ib_start_epoch is None else config.ib_start_epoch
        self.start_epoch_of_loss = start if kind.warm_up else 0
        self.schedule = build_class_weighting(
            config.train_rule, num_epochs, **_with_flags(rule, config, "train_rule")
        )
        self.is_weighted = config.train_rule.casefold() != "none"
        self.needs_features = kind.needs_features
        self.cosine_scale: float | None = None
        """What a loss of cosines multiplies them by, and so what its head does; None of others."""
        # The number that the loss multiplies the cosines by, so that logits are those it trains.
        if kind.head == "cosine":
            self.cosine_scale = _scale(self.losses[0], config.loss_type)
        self.teacher_share = config.teacher_share
        self.teacher_temperature = config.teacher_temperature
        self.class_counts = list(class_counts)
        self.class_weights: list[Tensor] | None = None
        self.epoch = 0
        if kind.reweights and self.is_weighted:
            warnings.warn(
                f"`loss_type={config.loss_type}` weights rare classes itself, and "
                f"`train_rule={config.train_rule}` does so again",
                stacklevel=2,
            )

    @property
    def _warms_up(self) -> bool:
        return self.warm_up is not None and self.epoch < self.start_epoch_of_loss

    def start_epoch(self, epoch: int, device: torch.device) -> None:
        """Choose the loss and compute the class weights of an epoch (from 0), once for it."""
        self.epoch = epoch
        self.class_weights = None
        if self.is_weighted and not self._warms_up:
            self.class_weights = [
                self.schedule(counts, epoch).to(device) for counts in self.class_counts
            ]

    def entries(self, categories: Tensor, targets: Tensor, taught: Tensor | None = None) -> Entries:
        """Find the labelled entries of a batch, on the CPU.

        Args:
            categories: [N] category indices, -1 for a row without an image.
            targets: [N, A] class indices by slot, -1 where unknown.
            taught: [N, A, C] log probabilities of a teacher, NaN where there are none.
        """
        # On the CPU: at each `nonzero` a GPU would have to be waited for. For all tasks at once: a
        # loop over those of hundreds of categories takes longer than a small model's step.
        tasks = self._task_of_slot[categories.clamp(min=0)]
        known = (targets != UNKNOWN) & (tasks >= 0) & (categories >= 0)[:, None]
        rows, slots = known.nonzero(as_tuple=True)
        # Task after task, and within a task the rows in their order.
        places, order = (categories[rows] * tasks.shape[1] + slots).sort(stable=True)
        rows, slots = rows[order], slots[order]
        places, counts = places.unique_consecutive(return_counts=True)
        entries = Entries(
            tuple(self._task_of_slot.flatten()[places].tolist()),
            tuple(counts.tolist()),
            rows,
            torch.repeat_interleave(torch.arange(len(places)), counts),
            slots,
            targets[rows, slots],
        )
        return entries if taught is None else self._with_teacher(entries, categories, taught)

    def _with_teacher(self, entries: Entries, categories: Tensor, taught: Tensor) -> Entries:
        """The entries, and what a teacher says of them and of the holes."""
        answers = answered_rows(self.taxonomy, categories, taught)
        if not answers:
            return entries
        counts = dict(zip(entries.tasks, entries.counts, strict=True))
        # In the order of the slots, which the labelled entries stand in.
        active = {*entries.tasks, *answers}
        tasks = tuple(t for slots in self.taxonomy.slots for t in slots if t in active)
        places = torch.tensor([tasks.index(task) for task in entries.tasks]).long()
        return entries._replace(
            tasks=tasks,
            counts=tuple(counts.get(task, 0) for task in tasks),
            positions=places[entries.positions],
            soft=soft_entries(tasks, answers),
        )

    def forward(self, output: HeadOutput, entries: Entries) -> dict[str, Tensor]:
        """The training loss of each active task, by name: a mean over its labelled entries.

        With a teacher, (1 - teacher_share) times that plus teacher_share times its
        `distillation_loss`, a mean over the entries that it has answered. A task that it has not
        answered in this batch has the whole loss of its labels.

        Args:
            output: Of the heads for the N rows, logits of the active tasks in their order.
            entries: The labelled entries, on the device of the logits.
        """
        losses = self.warm_up if self._warms_up and self.warm_up is not None else self._smoothed
        of_labels = self._compute(losses, output, entries, self.class_weights)
        if entries.soft is None:
            return of_labels
        return self._joined(of_labels, output, entries, entries.soft)

    def _joined(
        self, of_labels: dict[str, Tensor], output: HeadOutput, entries: Entries, soft: SoftEntries
    ) -> dict[str, Tensor]:
        """The losses of labels and teacher, by name, in the order of the entries."""
        share, joined = self.teacher_share, {}
        logits = output.logits[soft.rows, soft.positions].split(soft.counts)
        teacher = soft.log_probabilities.split(soft.counts)
        for i, task in enumerate(entries.tasks):
            name = self.taxonomy.task_names[task]
            if soft.counts[i]:
                value = share * self._of_teacher(task, logits[i], teacher[i])
                known = name in of_labels
                joined[name] = value + (1 - share) * of_labels[name] if known else value
            else:
                joined[name] = of_labels[name]
        return joined

    def _of_teacher(self, task: int, logits: Tensor, teacher: Tensor) -> Tensor:
        width = len(self.taxonomy.tasks[task].classes)
        return distillation_loss(
            # Of cosines these are the scaled ones: a margin is for labels, no part of the softmax.
            self.adjusted(task, logits[:, :width]),
            teacher[:, :width],
            self.teacher_temperature,
            None if self.class_weights is None else self.class_weights[task],
            self._loss_of(task).weight_reduction == "plain",
        )

    def adjusted(self, task: int, logits: Tensor) -> Tensor:
        """`Loss.adjusted` of the loss of a task in this epoch: [N, C] to [N, C]."""
        return self._loss_of(task).adjusted(logits)

    def _loss_of(self, task: int) -> Loss:
        losses = self.losses
        if self._warms_up and self.warm_up is not None:
            losses = self.warm_up
        return cast(Loss, losses[task])

    def validation_losses(self, output: HeadOutput, entries: Entries) -> dict[str, Tensor]:
        """The same without class weights and label smoothing: what epochs are compared by.

        A loss that starts late is left out for the one before it, because the two have different
        scales: IB and IBFocal are validated by cross-entropy.
        """
        losses = self.losses if self.warm_up is None else self.warm_up
        return self._compute(losses, output, entries, None)

    def _compute(
        self,
        losses: Sequence[nn.Module] | nn.ModuleList,
        output: HeadOutput,
        entries: Entries,
        class_weights: list[Tensor] | None,
    ) -> dict[str, Tensor]:
        given = output.logits if self.cosine_scale is None else output.cosines
        # One gather for all tasks, then views: a gather for each task costs a kernel each.
        of_task = given[entries.rows, entries.positions].split(entries.counts)
        classes = entries.classes.split(entries.counts)
        rows = entries.rows.split(entries.counts)
        return {
            self.taxonomy.task_names[task]: losses[task](
                # Without the padding: smoothing is a mean over all classes, a padded one is -inf.
                of_task[i][:, : len(self.taxonomy.tasks[task].classes)],
                classes[i],
                None if class_weights is None else class_weights[task],
                output.hidden[rows[i]] if self.needs_features else None,
            )
            for i, task in enumerate(entries.tasks)
            # Only a teacher makes a task active that has no label in the batch.
            if entries.counts[i]
        }


def _task_of_slot(taxonomy: Taxonomy) -> Tensor:
    """[K, A] task of each slot; -1 where there is none, or one with a single class."""
    found = torch.full((len(taxonomy.slots), taxonomy.num_slots), -1)
    for category, tasks in enumerate(taxonomy.slots):
        for slot, task in enumerate(tasks):
            if len(taxonomy.tasks[task].classes) > 1:
                found[category, slot] = task
    return found


def _scale(loss: nn.Module, name: str) -> float:
    scale = getattr(loss, "scale", None)
    if not isinstance(scale, int | float):
        raise InputError(
            f"loss '{name}' has head = 'cosine', so it needs an attribute 'scale', the number that "
            "it multiplies the cosines by"
        )
    return scale


def _losses(
    name: str, class_counts: Sequence[Tensor], parameters: Mapping[str, object]
) -> nn.ModuleList:
    return nn.ModuleList(build_loss(name, counts, **parameters) for counts in class_counts)


def _with_smoothing(losses: nn.ModuleList, config: ObjectiveConfig) -> Sequence[nn.Module]:
    """The losses of training, for targets smoothed as configured.

    Raises:
        InputError: The loss is no cross-entropy, or smooths by a parameter of its own already.
    """
    share = config.label_smoothing
    if not share:
        return tuple(losses)
    if not find_loss(config.loss_type).takes_smoothing:
        known = ", ".join(name for name, loss in LOSSES.items() if loss.takes_smoothing)
        raise InputError(
            f"`label_smoothing` {share}: `loss_type={config.loss_type}` is no cross-entropy of a "
            f"softmax, so smoothed labels have no published meaning for it; those of {known} have"
        )
    if getattr(losses[0], "smoothing", 0):
        raise InputError(
            f"`label_smoothing` {share}: the parameter smoothing of `loss_parameters` is the same; "
            "give one of them"
        )
    return tuple(Smoothed(loss, share) for loss in losses)  # type: ignore[arg-type]


def _with_flags(
    entry: Callable[..., object], config: ObjectiveConfig, section: str
) -> dict[str, object]:
    """The parameters of a section, with the flags of their own for an entry that takes them."""
    given: dict[str, object] = dict(getattr(config, f"{section}_parameters"))
    flags = {"beta": config.beta, "onset": config.drw_start_epoch}
    for name in inspect.signature(entry).parameters:
        if flags.get(name) is not None:
            # What stands in the parameters of the section wins over the flag.
            given.setdefault(name, flags[name])
    return given
