"""The scores of a run, from the files in its folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.decision.cross_fitted import CHOSEN, cross_fitted
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.training.history import METRICS_NAME
from visual_taxonomy.training.run_folder import HELD_OUT_LAST_NAME

DECIDED_NAME = "decided_last.npz"
"""In the run folder: [N, A] answers of the decision to the rows of held_out_last.npz."""

_FEWEST_SAMPLES = 2
"""Bootstrap samples: the ledger holds the scores, not their intervals."""


def score_run(folder: Path) -> dict[str, Any]:
    """The columns of the ledger that say how good a run is.

    The scores are those of the last epoch, which no score has chosen; that of the best epoch
    stands beside them, to show by how much it flatters.

    Raises:
        InputError: The run has no held-out predictions.
    """
    held_out = HeldOut.read(folder / HELD_OUT_LAST_NAME)
    rows = (held_out.targets, held_out.categories)
    report = evaluate(held_out.taxonomy, held_out.most_probable(), *rows)
    found: dict[str, Any] = {
        "rows": len(held_out),
        "hm": report.hm,
        "micro": report.micro,
        "macro": report.macro,
        "hm_best_epoch": pl.read_csv(folder / METRICS_NAME)["hm"].max(),
    }
    try:
        decided = cross_fitted(held_out, samples=_FEWEST_SAMPLES)
    except InputError:  # too few rows for a decision: the run has its other scores
        return found
    with write_atomically(folder / DECIDED_NAME) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, classes=decided.metric.classes)
    scores = decided.scores[CHOSEN]._asdict()
    return found | {f"{name}_decision": interval.value for name, interval in scores.items()}


def read_answers(path: Path, is_decided: bool) -> HeldOut:
    """The held-out rows of a run; the most probable class of each is its answer.

    Args:
        path: held_out_last.npz in the run folder.
        is_decided: Whether the answers are those of the decision, cross-fitted, each taken for
            certain; otherwise they are those of the model.

    Raises:
        InputError: A file is missing or damaged.
    """
    held_out = HeldOut.read(path)
    if not is_decided:
        return held_out
    decided = path.with_name(DECIDED_NAME)
    try:
        with decided.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            classes = file["classes"]
        if classes.shape != held_out.targets.shape:
            raise ValueError(f"shape {classes.shape}, expected {held_out.targets.shape}")
    except FileNotFoundError:
        raise InputError(
            f"{decided}: not there: the run had too few rows for a decision; compare the most "
            "probable classes"
        ) from None
    except (BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise InputError(f"{decided}: not the answers of a run, or damaged ({error})") from None
    # -1, no answer, is a row of zeros.
    certain = classes[..., None] == np.arange(held_out.probabilities.shape[2])
    return replace(held_out, probabilities=certain.astype(np.float32))
