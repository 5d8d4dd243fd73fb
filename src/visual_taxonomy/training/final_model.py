"""The decision of a model that was trained on all rows, fitted on those of a cross-validation."""

from dataclasses import replace
from pathlib import Path

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.run_folder import FINAL_NAME

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


def settle_final(folder: Path, decision_from: Path | None) -> Checkpoint:
    """final.pt of a run that has ended, with its decision where there are rows to fit one on.

    The rows were predicted by the models of the folds, each trained on a part of the rows: the
    final model has seen them all, so its own predictions of them would be too sure.

    Args:
        folder: The run folder.
        decision_from: held_out.npz of a cross-validation with the same settings; None: the answers
            are the most probable classes.
    """
    path = folder / FINAL_NAME
    checkpoint = read_checkpoint(path)
    # It has one if a run that had ended was resumed: fitting again would give the same.
    if decision_from is not None and checkpoint.decision is None:
        decision = fit_decision(HeldOut.read(decision_from), source=SOURCE)
        checkpoint = replace(checkpoint, decision=decision)
        write_checkpoint(path, checkpoint)
    return checkpoint
