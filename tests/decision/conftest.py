"""Held-out rows whose true probabilities are known."""

from collections.abc import Callable

import numpy as np
import pytest

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.taxonomy import Taxonomy


@pytest.fixture(scope="session")
def drawn() -> Callable[..., HeldOut]:
    """See `_drawn`."""
    return _drawn


def _drawn(
    rows=1500, sizes=(2, 3, 6), temperature=1.0, tau=0.0, spread=1.5, seed=0, categories=1
) -> HeldOut:
    """Labels drawn from p; the model says softmax(temperature * log p - tau * log prior).

    The class shares of each head fall by a factor of two from class to class.
    """
    generator = np.random.default_rng(seed)
    taxonomy = Taxonomy.from_dict(
        {
            f"k{k}": {f"a{a}": [f"c{c}" for c in range(size)] for a, size in enumerate(sizes)}
            for k in range(categories)
        }
    )
    category = generator.integers(0, categories, rows)
    probabilities = np.zeros((rows, len(sizes), max(sizes)), dtype=np.float32)
    targets = np.full((rows, len(sizes)), -1)
    counts = {}
    for slot, size in enumerate(sizes):
        log_prior = -np.log(2.0) * np.arange(size)
        log_prior -= np.log(np.exp(log_prior).sum())
        exact = softmax(log_prior + generator.normal(0, spread, (rows, size)))
        targets[:, slot] = (exact.cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
        probabilities[:, slot, :size] = softmax(temperature * np.log(exact) - tau * log_prior)
        for k in range(categories):
            counts[f"k{k}/a{slot}"] = np.rint(10_000 * np.exp(log_prior)).astype(int).tolist()
    targets[generator.random(targets.shape) < 0.2] = -1
    ids = np.array([str(i) for i in range(rows)])
    return HeldOut(taxonomy, counts, ids, category, np.arange(rows), probabilities, targets)


def softmax(scores):
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
