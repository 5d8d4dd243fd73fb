"""The scores of a run, from the files in its folder."""

from pathlib import Path
from typing import Any

import polars as pl

from visual_taxonomy.decision.cross_fitted import CHOSEN, cross_fitted
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.training.history import METRICS_NAME
from visual_taxonomy.training.run_folder import HELD_OUT_LAST_NAME

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
        decided = cross_fitted(held_out, samples=_FEWEST_SAMPLES).scores[CHOSEN]
    except InputError:  # too few rows for a decision: the run has its other scores
        return found
    return found | {
        f"{name}_decision": interval.value for name, interval in decided._asdict().items()
    }
