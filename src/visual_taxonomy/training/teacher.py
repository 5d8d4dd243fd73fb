"""The teachers of a run, asked once before it starts.

A teacher is a checkpoint, which answers the training images as they are, or the held-out
predictions of a cross-validation. What it says is kept in the run folder, teacher_0.npz and so on,
so a run that is resumed needs neither.

Shapes: N training rows, A slots, C classes of the widest task.
"""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.checkpoint import Checkpoint, read_model
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.data.dataset import Batch, batches_in_order, make_loader
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.progress import Advance, Reporter
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.batch_source import images_of
from visual_taxonomy.training.distillation import SoftLabels
from visual_taxonomy.training.model import TrainedModel
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables, named_class_counts
from visual_taxonomy.training.run_folder import CONFIG_NAME
from visual_taxonomy.training.validation import validate

# Below the smallest share that float32 keeps beside 1; the log of 0 would be -inf.
_LEAST_SHARE = 1e-8


class Asking(NamedTuple):
    """What it takes to ask a teacher."""

    config: TrainConfig
    tables: Tables
    objective: Objective
    """Of the student; it shows the teacher's loss only."""
    parallel: Parallel
    reporter: Reporter


def check_teachers(config: TrainConfig, taxonomy: Taxonomy) -> None:
    """Refuse teachers that cannot teach this run, before it touches its folder.

    Raises:
        InputError: One is missing, damaged, or of another taxonomy.
    """
    for number, path in enumerate(config.objective.teacher):
        if config.run.resume and kept_path(config.run.folder, number).exists():
            continue
        found = HeldOut.read(path) if path.suffix == ".npz" else read_model(path)
        if found.taxonomy != taxonomy:
            raise InputError(
                f"`teacher` {path}: its taxonomy is not that of the rows of this run; give the "
                "teacher's as `attributes_config`, or train one on the same labels"
            )


def kept_path(folder: Path, number: int) -> Path:
    """Where a run keeps what its teacher of that number says."""
    return folder / f"teacher_{number}.npz"


def soft_labels(asking: Asking) -> SoftLabels:
    """What the teachers of a run say of its training rows, the mean of their probabilities.

    Raises:
        InputError: A teacher cannot be read, or has no answer for any training row.
    """
    table = asking.tables.training
    shape = (*table.targets.shape, max(len(task.classes) for task in table.taxonomy.tasks))
    sums, answered = np.zeros(shape, dtype=np.float64), np.zeros(shape[:2], dtype=np.int64)
    for number, path in enumerate(asking.config.objective.teacher):
        found = _answers(asking, path, kept_path(asking.config.run.folder, number))
        probabilities = _aligned(found, table)
        sums += probabilities
        answered += probabilities.any(axis=2)
    shares = torch.from_numpy(sums / np.maximum(answered, 1)[:, :, None]).float()
    logs = shares.clamp_min(_LEAST_SHARE).log()
    has_answer = torch.from_numpy(answered > 0)
    if not has_answer.any():
        names = ", ".join(map(str, asking.config.objective.teacher))
        raise InputError(
            f"`teacher` {names}: no answer for any of the {len(table)} training rows; rows are "
            "found by their id, and held-out predictions must be of a cross-validation of them"
        )
    asking.reporter.note(
        f"the teacher answers {int(has_answer.any(dim=1).sum())} of {len(table)} training rows, "
        f"{_in_holes(has_answer, table)} of its answers in holes"
    )
    return SoftLabels(logs.masked_fill(~has_answer[:, :, None], torch.nan))


def _in_holes(has_answer: Tensor, table: Table) -> int:
    return int((has_answer & (torch.from_numpy(table.targets) < 0)).sum())


def _aligned(found: HeldOut, table: Table) -> np.ndarray:
    """[N, A, C] its probabilities of the rows of a table, by id; 0 where it has none."""
    if not len(found):
        return np.zeros((len(table), *found.probabilities.shape[1:]))
    places = {str(name): row for row, name in enumerate(found.ids)}
    rows = np.array([places.get(str(name), -1) for name in table.ids], dtype=np.int64)
    # A product that has changed its category since has other attributes.
    has_row = (rows >= 0) & (found.categories[rows] == table.categories)
    # An answer that is no number is none.
    probabilities = np.where(has_row[:, None, None], found.probabilities[rows], 0.0)
    return np.where(np.isfinite(probabilities).all(axis=2, keepdims=True), probabilities, 0.0)


def _answers(asking: Asking, path: Path, kept: Path) -> HeldOut:
    """What a teacher says of the training rows, from the run folder if it has been asked."""
    parallel = asking.parallel

    def read_kept() -> HeldOut | None:
        return HeldOut.read(kept) if kept.exists() else None

    found = parallel.on_first(read_kept)
    if found is not None:
        return found
    if path.suffix == ".npz":
        raw = parallel.on_first(lambda: _of_training_rows(HeldOut.read(path), asking))
    else:
        raw = _asked(parallel.on_first(lambda: read_model(path)), path, asking)

    def corrected_and_kept() -> HeldOut:
        found = _with_prior(raw, path, asking.reporter)
        found.write(kept)
        return found

    return parallel.on_first(corrected_and_kept)


def _of_training_rows(found: HeldOut, asking: Asking) -> HeldOut:
    ids = found.ids.astype(str)
    is_training = np.isin(ids, asking.tables.training.ids.astype(str))
    if is_training.any() and np.isin(asking.tables.validation.ids.astype(str), ids).any():
        asking.reporter.note(
            "note: the held-out predictions of the teacher hold validation rows of this run too. "
            "The models that answered its training rows were trained on these, so the scores "
            "below are a little too good; judge on rows that the teacher has not seen"
        )
    return found.take(is_training)


def _asked(checkpoint: Checkpoint, path: Path, asking: Asking) -> HeldOut:
    """The answers of a checkpoint, as it predicts: with flips if it was validated with them."""
    config, tables, objective, parallel, reporter = asking
    table, drawn = tables.training, parallel.state_dict()
    classifier = checkpoint.classifier()
    model = TrainedModel(
        classifier.to(parallel.device), classifier.encoder, parallel, config.run.precision, False
    )
    given = classifier.encoder.backbone.preprocessing
    images = images_of(config, table, given, parallel, reporter)
    size = config.optimizer.batch_size
    draws = batches_in_order(len(table), size, parallel.rank, parallel.world_size)
    loader = make_loader(images, draws, config.data.train_workers, parallel.device.type == "cuda")
    with reporter.progress(f"asking the teacher {path.name}", len(draws)) as advance:
        flips = checkpoint.model.tta == "flip"
        found = validate(_counted(loader, advance), table, model, objective, flips)
    # The run draws as one that resumes, whose teacher is asked no more.
    parallel.load_state_dict(drawn)
    reporter.note(
        f"teacher {path}: HM-F1 {found.report.hm:.4f} on the training rows, "
        f"{found.unreadable} of them without an image"
    )
    counts = checkpoint.class_counts or named_class_counts(table)
    rows = np.arange(len(table))
    answers = (table.ids, table.categories, rows, found.probabilities, table.targets)
    return HeldOut(table.taxonomy, counts, *answers)


def _counted(batches: Iterable[Batch], advance: Advance) -> Iterator[Batch]:
    for number, batch in enumerate(batches):
        yield batch
        advance(number + 1)


def _with_prior(found: HeldOut, path: Path, reporter: Reporter) -> HeldOut:
    """The answers as posteriors under the class frequencies of the training rows.

    A loss that adds the log prior to the logits, and class weights, leave it out of what predicts.
    Which ones the teacher was trained with stands in the config.toml beside its file.
    """
    objective = _objective_of(found, path, reporter)
    if objective is None:
        return found
    probabilities = np.zeros_like(found.probabilities)
    for category, slots in enumerate(found.taxonomy.slots):
        members = np.flatnonzero(found.categories == category)
        for slot, task in enumerate(slots):
            width = len(found.taxonomy.tasks[task].classes)
            shares = torch.from_numpy(found.probabilities[members, slot, :width])
            adjusted = _adjusted(objective, task, shares).numpy()
            # Rows without an answer, all 0, stay as they are.
            has_answer = (shares > 0).any(dim=1, keepdim=True).numpy()
            probabilities[members, slot, :width] = np.where(has_answer, adjusted, 0.0)
    return HeldOut(
        *(found.taxonomy, found.class_counts, found.ids, found.categories, found.groups),
        *(probabilities, found.targets),
    )


@torch.no_grad()
def _adjusted(objective: Objective, task: int, shares: Tensor) -> Tensor:
    logits = objective.adjusted(task, shares.clamp_min(_LEAST_SHARE).log())
    weights = None if objective.class_weights is None else objective.class_weights[task]
    # A class of weight 0 was never learnt, and what is left of it is not blown up.
    if weights is not None:
        logits = logits - weights.where(weights > 0, torch.ones_like(weights)).log()
    return logits.softmax(dim=1)


def _objective_of(found: HeldOut, path: Path, reporter: Reporter) -> Objective | None:
    """The objective of the teacher in its last epoch; None if it is not known."""
    place = path.parent / CONFIG_NAME
    try:
        config = read_toml(TrainConfig, place)
    except InputError as error:
        reporter.note(
            f"note: {error}; so the teacher {path.name} is taken for one trained with CE and equal "
            "class weights"
        )
        return None
    counts = [torch.tensor(found.class_counts[task.name]) for task in found.taxonomy.tasks]
    epochs = config.optimizer.epochs
    with warnings.catch_warnings(action="ignore"):  # the teacher's run has warned
        objective = Objective(found.taxonomy, counts, config.objective, epochs)
    objective.start_epoch(epochs - 1, torch.device("cpu"))
    return objective
