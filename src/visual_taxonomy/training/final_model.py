"""The decision of a model that was trained on all rows, fitted on those of a cross-validation."""

import warnings
from dataclasses import replace
from pathlib import Path

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.run_folder import FINAL_NAME
from visual_taxonomy.training.run_witnesses import RunWitnesses
from visual_taxonomy.witnesses.combination import answers_from_words

SOURCE = "the held-out rows of a cross-validation"


def check_decision_rows(path: Path | None, taxonomy: Taxonomy) -> None:
    """Refuse a file that no decision of this model can be fitted on, before the training.

    Raises:
        InputError: It is missing, damaged, or of another taxonomy.
    """
    if path is not None and HeldOut.read(path).taxonomy != taxonomy:
        raise InputError(
            f"`decision_from` {path}: its taxonomy is not that of the rows of this run; "
            "cross-validate on the same labels"
        )


def settle_final(
    folder: Path, decision_from: Path | None, run_witnesses: RunWitnesses | None = None
) -> Checkpoint:
    """final.pt of a run that has ended, with its decision where there are rows to fit one on.

    The rows were predicted by the models of the folds, each trained on a part of the rows: the
    final model has seen them all, so its own predictions of them would be too sure.

    Args:
        folder: The run folder.
        decision_from: held_out.npz of a cross-validation with the same settings; None: the answers
            are the most probable classes.
        run_witnesses: What speaks of its rows beside the images, fitted on all of them; None for
            nothing.

    Warns:
        UserWarning: There are words, and nothing to fit on how they answer.
    """
    path = folder / FINAL_NAME
    checkpoint = read_checkpoint(path)
    # It has one if a run that had ended was resumed: fitting again would give the same.
    if decision_from is not None and checkpoint.decision is None:
        held_out = HeldOut.read(decision_from)
        checkpoint = replace(checkpoint, decision=fit_decision(held_out, source=SOURCE))
        if run_witnesses is not None:
            witnesses = run_witnesses.fit(held_out, SOURCE)
            checkpoint = replace(checkpoint, witnesses=witnesses)
        write_checkpoint(path, checkpoint)
    if (
        run_witnesses is not None
        and run_witnesses.has_texts
        and not answers_from_words(checkpoint.witnesses)
    ):
        warnings.warn(
            f"{path} does not answer from words: `decision_from` names no held-out rows of a "
            "cross-validation with the same `text_columns` to fit that on",
            stacklevel=1,
        )
    return checkpoint
