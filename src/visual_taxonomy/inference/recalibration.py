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
from visual_taxonomy.inference.bundle import (
    CARD,
    WITNESSES,
    Bundle,
    checksum,
    is_bundle,
    read_bundle,
    write_manifest,
    write_witnesses,
)
from visual_taxonomy.inference.export.card import card
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.leftovers import temporary_beside
from visual_taxonomy.witnesses.combination import NAMES, Witnesses
from visual_taxonomy.witnesses.combining import fit_witnesses

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
    # Without words: each witness is to be heard alone.
    for scores in predictor.predict_table(replace(table, texts=None)):
        probabilities[scores.rows] = scores.probabilities
        on_progress(int(scores.rows[-1]) + 1)
    said = {}
    if predictor.witnesses is not None:
        said = predictor.witnesses.say(table.texts, table.targets, table.categories)
    groups = group_rows(table, workers)
    # A checkpoint of the original system has no counts; those of the rows are the next best.
    counts = predictor.class_counts or {
        name: table.class_counts(task).tolist() for task, name in enumerate(taxonomy.task_names)
    }
    rows = (table.ids, table.categories, groups, probabilities, table.targets)
    witnesses = {NAMES[bit]: each for bit, each in said.items()}
    return replace(HeldOut(taxonomy, counts, *rows), witnesses=witnesses)


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
    model: Path,
    out: Path,
    found: CrossFitted,
    attributes_config: Path | None = None,
    held_out: HeldOut | None = None,
) -> None:
    """Write a checkpoint or a bundle again, with another decision.

    Args:
        model: The checkpoint or bundle.
        out: The file or folder to write; the same one is replaced.
        found: The decision and its figures.
        attributes_config: The taxonomy as JSON, for a checkpoint of the original system.
        held_out: The rows it was fitted on, for how a model with words answers from them; None
            leaves that as it is.

    Raises:
        InputError: The model is damaged, or the disk is full.
    """
    if is_bundle(model):
        _write_bundle(model, out, found, held_out)
        return
    # Here, because it imports torch: a bundle is calibrated without it.
    from visual_taxonomy.checkpoint import read_checkpoint, write_checkpoint

    checkpoint = read_checkpoint(model, attributes_config)
    figures = found.to_dict()
    decided = replace(
        checkpoint,
        decision=found.decision,
        decision_figures=figures,
        held_out=None,
        witnesses=_fitted_anew(checkpoint.witnesses, found, held_out),
    )
    write_checkpoint(out, decided)


def _fitted_anew(
    witnesses: Witnesses | None, found: CrossFitted, held_out: HeldOut | None
) -> Witnesses | None:
    """How witnesses answer together, fitted on other rows where these have them."""
    if witnesses is None or held_out is None or not held_out.witnesses:
        return witnesses
    source = found.decision.fitted_on.source
    return fit_witnesses(held_out, witnesses.words, witnesses.known_labels, source)


def _write_bundle(model: Path, out: Path, found: CrossFitted, held_out: HeldOut | None) -> None:
    bundle = read_bundle(model)
    decided = replace(bundle, decision=found.decision, decision_figures=found.to_dict())
    witnesses = _fitted_anew(bundle.witnesses, found, held_out)
    # In place only the two texts change, each by renaming; model files are not copied.
    if out == model:
        write_manifest(_with_witnesses(decided, witnesses))
        write_text(model / CARD, card(decided, model.name))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with name_full_disk(out), temporary_beside(out, Path.mkdir) as temporary:
        try:
            shutil.copytree(model, temporary, dirs_exist_ok=True)
            write_manifest(_with_witnesses(replace(decided, folder=temporary), witnesses))
            write_text(temporary / CARD, card(decided, out.name))
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _with_witnesses(bundle: Bundle, witnesses: Witnesses | None) -> Bundle:
    """The bundle with its file of witnesses written, and the checksum of that."""
    if witnesses is None:
        return bundle
    write_witnesses(bundle.folder, witnesses)
    return replace(bundle, files={**bundle.files, WITNESSES: checksum(bundle.folder / WITNESSES)})
