"""The best epochs so far: which checkpoints an epoch earns, and when to stop."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

KINDS = ("both", "score", "loss")
"""Checkpoints best_both.pt, best_score.pt and best_loss.pt."""


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
