"""The end of a run: how each best checkpoint answers, fitted on its held-out predictions."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from visual_taxonomy.atomic import link_or_copy
from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.decision.cross_fitted import cross_fitted
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.training.records import KINDS, RECOMMENDED
from visual_taxonomy.training.run_folder import HELD_OUT_LAST_NAME
from visual_taxonomy.training.run_witnesses import LOUDEST_NAME, RunWitnesses, write_loudest
from visual_taxonomy.witnesses.combination import COMBINATIONS, IMAGE, WORDS

SOURCE = "the validation rows of its training"


def settle_decisions(folder: Path, run_witnesses: RunWitnesses | None = None) -> None:
    """Give the best checkpoints of a run that has ended the decisions of their held-out rows.

    The held-out predictions of the recommended one become held_out.npz. Interrupted, it can be
    done again: a checkpoint is either as the epoch wrote it, or done.

    Args:
        folder: The run folder.
        run_witnesses: What speaks of its rows beside the images; None for nothing.

    Warns:
        UserWarning: The rows are too few to fit on, so the answers are the most probable classes.
    """
    if run_witnesses is not None:
        _complete_last(folder / HELD_OUT_LAST_NAME, run_witnesses)
    done: dict[str, Path] = {}
    # The recommended one first: where others are of the same epoch, they become links to it, and
    # have the figures that only it is measured for.
    for kind in sorted(KINDS, key=lambda each: each != RECOMMENDED):
        path = folder / f"best_{kind}.pt"
        if not path.exists():
            continue
        checkpoint = read_checkpoint(path)
        # Settled by an earlier call: the decision has taken the place of the predictions.
        if checkpoint.held_out is None:
            continue
        held_out = checkpoint.held_out
        if run_witnesses is not None:
            held_out = run_witnesses.heard_on(held_out)
        if kind == RECOMMENDED:
            held_out.write(folder / HELD_OUT_NAME)
        what = f"{checkpoint.epoch} {checkpoint.metrics}"
        if what in done:  # the same content: written once
            link_or_copy(done[what], path)
            continue
        settled = _settled(checkpoint, held_out, kind == RECOMMENDED)
        if run_witnesses is not None and settled.decision is not None:
            # `vtax fill` and the audit take the recommended one; others need no known labels.
            asked = COMBINATIONS if kind == RECOMMENDED else (IMAGE | WORDS, WORDS)
            settled = replace(settled, witnesses=run_witnesses.fit(held_out, SOURCE, asked))
            if kind == RECOMMENDED and run_witnesses.words is not None:
                write_loudest(folder / LOUDEST_NAME, run_witnesses.words)
        write_checkpoint(path, settled)
        done[what] = path


def _complete_last(path: Path, run_witnesses: RunWitnesses) -> None:
    """Add to what the last epoch makes of its validation rows what the others say of them."""
    if not path.exists():
        return
    held_out = HeldOut.read(path)
    if not held_out.witnesses:  # not done by an earlier call
        run_witnesses.heard_on(held_out).write(path)


def _settled(checkpoint: Checkpoint, held_out: HeldOut, is_measured: bool) -> Checkpoint:
    """With a decision in place of the predictions; figures, which take longer, where asked."""
    decision: Decision | None = None
    figures: dict[str, Any] = {}
    try:
        if is_measured:
            found = cross_fitted(held_out, source=SOURCE)
            decision, figures = found.decision, found.to_dict()
        else:
            decision = fit_decision(held_out, source=SOURCE)
    except InputError as error:
        warnings.warn(
            f"no decision can be fitted on the validation rows ({error}); {checkpoint.source} "
            "answers with its most probable classes",
            stacklevel=1,
        )
    return replace(checkpoint, decision=decision, decision_figures=figures, held_out=None)
