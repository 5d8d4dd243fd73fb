"""A decision fitted anew: on which rows, and into which file.

Shapes: N rows, A slots, C classes of the widest task.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.atomic import name_full_disk, write_text
from visual_taxonomy.data.duplicates import group_rows
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.cross_fitted import CrossFitted
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.inference.bundle import CARD, is_bundle, read_bundle, write_manifest
from visual_taxonomy.inference.export.card import card
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.leftovers import temporary_beside

_SPLIT = "split.csv"
"""In the folder of a run, beside its checkpoints."""


def held_out_rows(
    predictor: Predictor,
    table: Table,
    workers: int = 1,
    on_progress: Callable[[int], None] = lambda done: None,
) -> HeldOut:
    """Raw probabilities of labelled rows, with their near-duplicate groups.

    Args:
        predictor: The model, answering by argmax without a target precision.
        table: N labelled rows.
        workers: Threads that compare the images.
        on_progress: Called with the number of rows predicted.
    """
    taxonomy = predictor.taxonomy
    classes = max(len(task.classes) for task in taxonomy.tasks)
    probabilities = np.zeros((*table.targets.shape, classes), dtype=np.float32)
    for scores in predictor.predict_table(table):
        probabilities[scores.rows] = scores.probabilities
        on_progress(int(scores.rows[-1]) + 1)
    groups = group_rows(table, workers)
    # A checkpoint of the original system has no counts; those of the rows are the next best.
    counts = predictor.class_counts or {
        name: table.class_counts(task).tolist() for task, name in enumerate(taxonomy.task_names)
    }
    rows = (table.ids, table.categories, groups, probabilities, table.targets)
    return HeldOut(taxonomy, counts, *rows)


def trained_on(model: Path, ids: np.ndarray) -> int:
    """How many of the rows a checkpoint was trained on, as far as split.csv beside it says."""
    try:
        # All as text: numbers would lose the leading zeros of ids.
        split = pl.read_csv(model.parent / _SPLIT, infer_schema=False)
        seen = split.filter(pl.col("split") == "train")["id"].to_list()
    # Not a checkpoint of a run folder, or another split.csv: nothing is known of its rows.
    except (OSError, pl.exceptions.PolarsError):
        return 0
    return len({*map(str, ids)} & {*seen})


def write_decision(
    model: Path, out: Path, found: CrossFitted, attributes_config: Path | None = None
) -> None:
    """Write a checkpoint or a bundle again, with another decision.

    Args:
        model: The checkpoint or bundle.
        out: The file or folder to write; the same one is replaced.
        found: The decision and its figures.
        attributes_config: The taxonomy as JSON, for a checkpoint of the original system.

    Raises:
        InputError: The model is damaged, or the disk is full.
    """
    if is_bundle(model):
        _write_bundle(model, out, found)
        return
    # Here, because it imports torch: a bundle is calibrated without it.
    from visual_taxonomy.checkpoint import read_checkpoint, write_checkpoint

    checkpoint = read_checkpoint(model, attributes_config)
    figures = found.to_dict()
    decided = replace(checkpoint, decision=found.decision, decision_figures=figures, held_out=None)
    write_checkpoint(out, decided)


def _write_bundle(model: Path, out: Path, found: CrossFitted) -> None:
    bundle = read_bundle(model)
    decided = replace(bundle, decision=found.decision, decision_figures=found.to_dict())
    # In place only the two texts change, each by renaming; model files are not copied.
    if out == model:
        write_manifest(decided)
        write_text(model / CARD, card(decided, model.name))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with name_full_disk(out), temporary_beside(out, Path.mkdir) as temporary:
        try:
            shutil.copytree(model, temporary, dirs_exist_ok=True)
            write_manifest(replace(decided, folder=temporary))
            write_text(temporary / CARD, card(decided, out.name))
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
