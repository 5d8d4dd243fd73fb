"""What people should know of a decision: heads that had too little to be fitted on."""

import numpy as np

from visual_taxonomy.decision.abstention import FEW_LABELS
from visual_taxonomy.decision.decision import Decision, Rule

_MOST_NAMES = 3
"""Heads that a sentence names; a large taxonomy has thousands."""


def remarks(
    decision: Decision, target_precision: float | None = None, rule: Rule = "metric"
) -> list[str]:
    """Sentences on heads that are answered with less than their own fit.

    Args:
        decision: It.
        target_precision: At which it is to answer; None for all answers.
        rule: How classes are chosen.

    Raises:
        InputError: The target is not between 0 and 1.
    """
    is_bare = np.array([head.is_pooled for head in decision.heads])
    sentences = [
        (is_bare, "no held-out label: calibration and rule are those of all heads together")
    ]
    if target_precision is not None:
        least, is_pooled = decision.thresholds(rule, target_precision)
        few = f"fewer than {FEW_LABELS} held-out labels: its threshold is that of all heads"
        never = f"target precision {target_precision:g} cannot be reached: every answer is unknown"
        # Heads without any label are named by the first sentence already; `NEVER` is above 1.
        sentences += [(is_pooled & ~is_bare, few), (least > 1, never)]
    return [f"{_named(decision, of)}: {text}" for of, text in sentences if of.any()]


def _named(decision: Decision, chosen: np.ndarray) -> str:
    names = [decision.taxonomy.task_names[place] for place in np.flatnonzero(chosen)]
    more = len(names) - _MOST_NAMES
    rest = f" and {more:,} more" if more > 0 else ""
    return ", ".join(names[:_MOST_NAMES]) + rest
