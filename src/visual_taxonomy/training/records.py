"""The best epochs so far: which checkpoints an epoch earns, and when to stop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

KINDS = ("both", "score", "loss")
"""Checkpoints best_both.pt, best_score.pt and best_loss.pt."""

RECOMMENDED = "score"
"""The kind that a run reports and that its user should take.

HM-F1 is what users are judged by, so the epoch that is best in it is the one to take. best_both.pt
can be of an earlier, worse epoch: once the validation loss rises (a model grows sure of its
mistakes too), no epoch beats both records, though HM-F1 may still improve.
"""

_DIVERGED_RATIO, _DIVERGED_LOSS = 10.0, 1000.0
"""Above this many times the best loss of the run, or this loss, training has gone wrong.

Overfitting multiplies a loss by 2 or 3, and no loss that is validated starts above 100.
"""


@dataclass(frozen=True)
class Records:
    """The best scores of each kind of checkpoint.

    Args:
        best_score: Highest HM-F1.
        best_loss: Lowest validation loss.
        both_score: HM-F1 of the last epoch that improved on both its records at once.
        both_loss: Validation loss of that epoch.
        idle_epochs: Epochs since `best_score` or `best_loss` last improved.

    Example:
        >>> records, earned = Records().update(score=0.5, loss=2.0)
        >>> earned
        ('both', 'score', 'loss')
        >>> records.update(score=0.6, loss=2.1)[1]
        ('score',)
    """

    best_score: float = -math.inf
    best_loss: float = math.inf
    both_score: float = -math.inf
    both_loss: float = math.inf
    idle_epochs: int = 0

    def update(self, score: float, loss: float) -> tuple["Records", tuple[str, ...]]:
        """The records after an epoch, and the kinds of checkpoint it earned; ties earn none."""
        earned = []
        new = replace(self, idle_epochs=self.idle_epochs + 1)
        # NaN breaks no record, since every comparison with it is false.
        if score > self.both_score and loss < self.both_loss:
            earned.append("both")
            new = replace(new, both_score=score, both_loss=loss)
        if score > self.best_score:
            earned.append("score")
            new = replace(new, best_score=score, idle_epochs=0)
        if loss < self.best_loss:
            earned.append("loss")
            new = replace(new, best_loss=loss, idle_epochs=0)
        return new, tuple(earned)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)


def divergence(history: Sequence[Mapping[str, float]]) -> str | None:
    """What to say of a run whose validation loss has left all bounds by its last epoch.

    Args:
        history: A row of metrics.csv for each epoch.

    Returns:
        The message; None for a run that is in order. Losses that are not finite are warned of
        when they occur.

    Example:
        >>> losses = ({"epoch": i, "val_loss": loss} for i, loss in enumerate([2.0, 1.0, 1e10]))
        >>> print(divergence(list(losses)))
        the run has diverged: its validation loss is 1e+10 in epoch 3, 1 at best (epoch 2); ...
    """
    finite = [row for row in history if math.isfinite(row.get("val_loss", math.nan))]
    if not finite:
        return None
    last, best = finite[-1], min(finite, key=lambda row: row["val_loss"])
    # At least 1: ten times a loss that is nearly 0 is no divergence.
    if last["val_loss"] <= min(_DIVERGED_LOSS, _DIVERGED_RATIO * max(best["val_loss"], 1.0)):
        return None
    return (
        f"the run has diverged: its validation loss is {last['val_loss']:.3g} in epoch "
        f"{last['epoch'] + 1:.0f}, {best['val_loss']:.3g} at best (epoch {best['epoch'] + 1:.0f}); "
        "lower `scratch_lr` and `pretrained_lr`, and train again (`overwrite`)"
    )
