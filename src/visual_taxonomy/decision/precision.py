"""What a target precision gives on rows that its thresholds were not fitted on.

Shapes: N rows, A slots, M labelled cells.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from visual_taxonomy.decision.binomial import share_interval
from visual_taxonomy.decision.cells import Cells
from visual_taxonomy.decision.decision import Answers

ENOUGH_LABELS = 200
"""Held-out labels from which on a head counts in `Precision.overall`: below, chance decides."""


@dataclass(frozen=True)
class Achieved:
    """What was published of some labelled cells.

    Args:
        labels: Labelled cells.
        accepted: Of them, those whose answer is not unknown.
        correct: Of the accepted ones, those that are right.

    Example:
        >>> half = Achieved(labels=20, accepted=10, correct=9)
        >>> half.precision, half.coverage
        (0.9, 0.5)
    """

    labels: int
    accepted: int
    correct: int

    @property
    def precision(self) -> float | None:
        """Share of the accepted answers that are right; None without any."""
        return self.correct / self.accepted if self.accepted else None

    @property
    def coverage(self) -> float | None:
        """Share of the labelled cells that are answered; None without any."""
        return self.accepted / self.labels if self.labels else None


@dataclass(frozen=True)
class Precision:
    """What a target precision gives, head by head.

    Args:
        target: The precision asked for.
        heads: Task name -> what its head published.
        pooled: Names of the heads with too few labels for a threshold of their own.
    """

    target: float
    heads: dict[str, Achieved]
    pooled: tuple[str, ...]

    @property
    def overall(self) -> Achieved:
        """Of all heads with `ENOUGH_LABELS`.

        Heads that reach the target with every answer published lift it above the target.
        """
        return _total(head for head in self.heads.values() if head.labels >= ENOUGH_LABELS)

    @property
    def withholding(self) -> Achieved:
        """Of those among them that hold answers back: there the target decides."""
        return _total(
            head
            for head in self.heads.values()
            if head.labels >= ENOUGH_LABELS and head.accepted < head.labels
        )

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Names of the heads with labels that publish nothing: no threshold reaches the target."""
        return tuple(name for name, head in self.heads.items() if head.labels and not head.accepted)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `low` and `high` are the exact 95 % interval of a precision."""
        overall, withholding, *heads = _plain(
            [self.overall, self.withholding, *self.heads.values()]
        )
        return {
            "target": self.target,
            "overall": overall,
            "withholding": withholding,
            "pooled": list(self.pooled),
            "unreachable": list(self.unreachable),
            "heads": dict(zip(self.heads, heads, strict=True)),
        }


def achieved_precision(
    cells: Cells, answers: Answers, target: float, pooled: tuple[str, ...] = ()
) -> Precision:
    """Count what answers publish of labelled cells.

    Args:
        cells: The M labels.
        answers: To all N rows, at the target precision.
        target: The precision asked for.
        pooled: Names of the heads that took the threshold of all.
    """
    names = cells.taxonomy.task_names
    places = cells.rows, cells.slots
    is_accepted = ~answers.is_unknown[places]
    is_correct = is_accepted & (answers.classes[places] == cells.labels)
    accepted, correct = (
        np.bincount(cells.heads[chosen], minlength=len(names)).tolist()
        for chosen in (is_accepted, is_correct)
    )
    counts = zip(cells.support.tolist(), accepted, correct, strict=True)
    heads = {name: Achieved(*each) for name, each in zip(names, counts, strict=True)}
    return Precision(target, heads, pooled)


def _plain(parts: list[Achieved]) -> list[dict[str, Any]]:
    correct, accepted = (
        np.array([getattr(part, name) for part in parts]) for name in ("correct", "accepted")
    )
    # All at once: bisection evaluates the distribution many times, for one head or for all.
    low, high = share_interval(correct, accepted)
    return [
        {
            "precision": part.precision,
            "low": ends[0],
            "high": ends[1],
            "coverage": part.coverage,
            "labels": part.labels,
            "accepted": part.accepted,
            "correct": part.correct,
        }
        for part, ends in zip(parts, zip(low.tolist(), high.tolist(), strict=True), strict=True)
    ]


def _total(heads: Iterable[Achieved]) -> Achieved:
    counts = [(head.labels, head.accepted, head.correct) for head in heads]
    return Achieved(*(sum(column) for column in zip(*counts, strict=True))) if counts else _NOTHING


_NOTHING = Achieved(0, 0, 0)
