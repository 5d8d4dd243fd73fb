"""What the sections of a report are made from.

Shapes: N held-out rows, A slots (the most attributes of a category).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.decision.cross_fitted import CrossFitted, cross_fitted
from visual_taxonomy.decision.decision import Rule
from visual_taxonomy.decision.held_out import HeldOut, HeldOutHead
from visual_taxonomy.decision.intervals import ReportIntervals, score_intervals
from visual_taxonomy.evaluation import Report, evaluate, majority_report
from visual_taxonomy.reporting.html.run_record import RunRecord
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.probing.record import ProbeRecord

_LEAST_PRODUCTS = 10
"""With fewer, nothing can be fitted and judged on different ones."""


class Absent(NamedTuple):
    """Why a section is not shown."""

    reason: str


class HeadAnswers(NamedTuple):
    """One head with what was answered for its labelled rows.

    All but the raw probabilities, which `head` holds, are cross-fitted: the decision behind them
    was fitted without these rows.
    """

    head: HeldOutHead
    classes: np.ndarray
    """[n] answered classes."""
    confidence: np.ndarray
    """[n] calibrated probability of the answer."""


@dataclass(frozen=True)
class Context:
    """Held-out rows, the answers to be judged, and the run they come from.

    Args:
        held_out: The rows.
        run: Of the model; None where only a checkpoint is given.
        image: Id -> the image, None where there is none.
        audit: Folder of `vtax audit`; None without one.
        source: What the held-out rows are.
        rule: By which answers are chosen.
        fitted: What `cross_fitted` gave for these rows; None fits it when it is asked for.
        probe: Of `vtax probe` on the same rows; None without one.
    """

    held_out: HeldOut
    run: RunRecord | None = None
    image: Callable[[str], ImageSource | None] | None = None
    audit: Path | None = None
    source: str = "the validation rows of the run"
    rule: Rule = "metric"
    fitted: CrossFitted | None = None
    probe: ProbeRecord | None = None

    @cached_property
    def cross(self) -> CrossFitted | None:
        """A decision judged on rows it was not fitted on; None where there are too few."""
        if self.fitted is None and len(np.unique(self.held_out.groups)) >= _LEAST_PRODUCTS:
            return cross_fitted(self.held_out)
        return self.fitted

    @property
    def is_argmax(self) -> bool:
        """Whether the most probable classes are published, by wish or by the rule chosen."""
        return self.rule == "argmax" or self.cross is None or self.cross.decision.rule == "argmax"

    @cached_property
    def heads(self) -> list[HeadAnswers]:
        """Every task with its answers, in the order of the taxonomy."""
        heads = list(self.held_out.heads())
        if self.cross is None:
            return [HeadAnswers(head, *_most_probable(head.probabilities)) for head in heads]
        answers = self.cross.argmax if self.is_argmax else self.cross.metric
        found = []
        for head in heads:
            classes = answers.classes[head.rows, head.slot]
            confidence = answers.probabilities[head.rows, head.slot, classes].astype(np.float64)
            found.append(HeadAnswers(head, classes, confidence))
        return found

    @cached_property
    def classes(self) -> np.ndarray:
        """[N, A] answers; -1 where there is none."""
        classes = np.full_like(self.held_out.targets, UNKNOWN)
        for head, chosen, _ in self.heads:
            classes[head.rows, head.slot] = chosen
        return classes

    @cached_property
    def scores(self) -> Report:
        """Scores of the answers.

        Raises:
            InputError: No row has a label.
        """
        held_out = self.held_out
        return evaluate(held_out.taxonomy, self.classes, held_out.targets, held_out.categories)

    @cached_property
    def intervals(self) -> ReportIntervals:
        """Bootstrap intervals of the scores, 95 %."""
        held_out = self.held_out
        return score_intervals(
            held_out.taxonomy,
            self.classes,
            held_out.targets,
            held_out.categories,
            held_out.groups,
        )

    @cached_property
    def baseline(self) -> Report | None:
        """Scores of the most frequent training class; None where no training label is known."""
        held_out = self.held_out
        if not any(map(any, held_out.class_counts.values())):
            return None
        return majority_report(
            held_out.taxonomy, held_out.class_counts, held_out.targets, held_out.categories
        )


def _most_probable(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    classes = probabilities.argmax(axis=1) if len(probabilities) else np.zeros(0, dtype=np.int64)
    return classes, probabilities.max(axis=1, initial=0.0)
