"""The end of a run: what each best checkpoint answers, fitted on its held-out predictions."""

from dataclasses import replace
from pathlib import Path

from visual_taxonomy.atomic import link_or_copy
from visual_taxonomy.checkpoint import read_checkpoint, write_checkpoint
from visual_taxonomy.decision.held_out import HELD_OUT_NAME
from visual_taxonomy.training.records import KINDS, RECOMMENDED


def settle_decisions(folder: Path) -> None:
    """Take the held-out predictions out of the best checkpoints of a run that has ended.

    Those of the recommended one become held_out.npz. Interrupted, it can be done again: a
    checkpoint is either as the epoch wrote it, or done.

    Args:
        folder: The run folder.
    """
    done: dict[str, Path] = {}
    for kind in KINDS:
        path = folder / f"best_{kind}.pt"
        if not path.exists():
            continue
        checkpoint = read_checkpoint(path)
        if checkpoint.held_out is None:
            continue
        if kind == RECOMMENDED:
            checkpoint.held_out.write(folder / HELD_OUT_NAME)
        what = f"{checkpoint.epoch} {checkpoint.metrics}"
        if what in done:  # the same content: written once
            link_or_copy(done[what], path)
            continue
        write_checkpoint(path, replace(checkpoint, held_out=None))
        done[what] = path
