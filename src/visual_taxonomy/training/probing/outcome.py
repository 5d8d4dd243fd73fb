"""What a probe writes: a checkpoint as a training does, and its lines as baselines.

Shapes: N validation rows, A slots, C classes of the widest task, T heads.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.model.classifier import Classifier
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.preparation import Tables, named_class_counts
from visual_taxonomy.training.probing.encoded import Encoded, heads_of
from visual_taxonomy.training.probing.learning_curve import MORE, LearningCurve, Point
from visual_taxonomy.training.probing.linear import LinearHead, linear_logits
from visual_taxonomy.training.probing.lines import by_slot, most_probable, softmax
from visual_taxonomy.training.records import RECOMMENDED
from visual_taxonomy.training.saving import Saver
from visual_taxonomy.training.validation import Validation

CURVE_NAME, GAINS_NAME = "learning_curve.csv", "label_gains.csv"
"""Files in the run folder."""


def install(model: Classifier, heads: Sequence[LinearHead]) -> None:
    """Put linear probes into a classifier with plain linear heads."""
    classifiers = model.heads.classifiers
    with torch.no_grad():
        for task, head in enumerate(heads):
            classifiers.weights[task].copy_(torch.from_numpy(head.weight))
            classifiers.biases[task].copy_(torch.from_numpy(head.bias))


def validation_of(tables: Tables, asked: Encoded, heads: Sequence[LinearHead]) -> Validation:
    """What the linear probes make of the validation rows.

    Raises:
        InputError: No validation row has a label.
    """
    table = tables.validation
    shares = [softmax(each) for each in linear_logits(tables.taxonomy, heads, asked)]
    probabilities = by_slot(tables.taxonomy, asked, shares)
    predicted = most_probable(probabilities)
    report = evaluate(table.taxonomy, predicted, table.targets, table.categories)
    unreadable = int((~asked.has_image).sum())
    return Validation(report, _loss(asked, tables, shares), unreadable, predicted, probabilities)


def _loss(asked: Encoded, tables: Tables, shares: Sequence[np.ndarray]) -> float:
    """Mean over tasks of the mean over labelled rows, as that of a training."""
    losses = []
    for category, heads in heads_of(tables.taxonomy):
        rows = asked.of_category(category)
        for head in heads:
            labels = asked.targets[rows, head.slot]
            known = np.flatnonzero(labels != UNKNOWN)
            own = shares[head.number][known, labels[known]]
            if len(known):
                losses.append(float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean()))
    return float(np.mean(losses))


def write_checkpoint(
    config: TrainConfig, tables: Tables, model: Classifier, validation: Validation
) -> None:
    """Write best_score.pt and its detailed metrics, held-out predictions within the checkpoint."""
    saver = Saver(
        config,
        tables.taxonomy,
        # As it is read: the settings that only a training looks at are those of no training.
        replace(config.model, freeze_backbone=True),
        named_class_counts(tables.training),
        bool(tables.training.named_columns),
    )
    held_out = tables.held_out(validation.probabilities)
    saver.save_best(model.state_dict(), 0, validation, (RECOMMENDED,), held_out)


def write_curve(folder: Path, curve: LearningCurve) -> None:
    """Write the points of all curves, and the expected gains, the largest first.

    Raises:
        InputError: The disk is full.
    """
    rows = [_point_row("", point) for point in curve.overall]
    rows += [_point_row(each.task, point) for each in curve.curves for point in each.points]
    names = [f"{score}{end}" for score in ("hm", "micro", "macro") for end in ("", "_low", "_high")]
    _write(folder / CURVE_NAME, ["task", "share", "labels", *names], rows)
    gains = [
        [each.task, *map(_number, (each.points[-1].labels, *each.points[-1].hm, *each.gain))]
        for each in curve.curves
    ]
    header = ["task", "labels", "hm", "hm_low", "hm_high"]
    more = [f"gain_{MORE}{end}" for end in ("", "_low", "_high")]
    _write(folder / GAINS_NAME, [*header, *more], gains)


def _point_row(task: str, point: Point) -> list[str]:
    scores = (value for interval in point[2:] for value in interval)
    return [task, *map(_number, (point.share, point.labels, *scores))]


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
