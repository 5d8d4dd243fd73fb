"""Fit a decision on held-out rows."""

import hashlib

import numpy as np

from visual_taxonomy.decision.abstention import GRID, count_accepted
from visual_taxonomy.decision.decision import Decision, FittedOn, HeadDecision
from visual_taxonomy.decision.held_out import HeldOut, HeldOutHead
from visual_taxonomy.decision.tables import FLOOR


def fit_decision(
    held_out: HeldOut, folds: int = 5, seed: int = 0, source: str = "held-out rows"
) -> Decision:
    """Fit calibration, rule and thresholds on held-out rows."""
    heads = list(held_out.heads())
    temperature = min(np.geomspace(0.3, 6, 31), key=lambda t: sum(_nll(h, t) for h in heads))
    return Decision(
        held_out.taxonomy,
        tuple(_head(h, float(temperature)) for h in heads),
        FittedOn(
            source,
            len(held_out),
            sum(len(h.labels) for h in heads),
            folds,
            hashlib.sha256("\n".join(sorted(map(str, held_out.ids))).encode()).hexdigest(),
        ),
        "one tau",
        GRID,
    )


def _nll(head: HeldOutHead, temperature: float) -> float:
    p = _calibrated(head, temperature)
    return -float(np.log(np.maximum(p[np.arange(len(p)), head.labels], FLOOR)).sum())


def _calibrated(head: HeldOutHead, temperature: float) -> np.ndarray:
    z = np.log(np.maximum(head.probabilities, FLOOR)) / temperature
    e = np.exp(z - z.max(axis=1, keepdims=True)) if len(z) else z
    return e / e.sum(axis=1, keepdims=True)


def _head(head: HeldOutHead, temperature: float) -> HeadDecision:
    counts = np.maximum(head.class_counts, 1)
    prior = np.log(counts / counts.sum())
    tau = 0.4
    rows = np.arange(len(head.labels))
    p = _calibrated(head, temperature)
    found = []
    for t in (0.0, tau):
        classes = (np.log(np.maximum(head.probabilities, FLOOR)) - t * prior).argmax(axis=1)
        found.append(count_accepted(p[rows, classes], classes != head.labels))
    return HeadDecision(
        temperature, 0.0, tuple(prior.tolist()), tau, None, found[0], found[1], len(rows)
    )
