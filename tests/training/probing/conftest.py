"""Rows with synthetic features: two categories, holes, a class and a head without a label."""

import numpy as np
import pytest

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.encoded import Encoded


@pytest.fixture(scope="session")
def probed() -> Taxonomy:
    return Taxonomy.from_dict(
        {
            "Sarees": {"border": ["zari", "no", "woven", "never"], "color": ["red", "blue"]},
            "Kurtis": {"fit": ["default", "other"], "hem": ["a", "b"], "color": ["x", "y", "z"]},
        }
    )


@pytest.fixture(scope="session")
def encoded(probed: Taxonomy) -> Encoded:
    """120 Sarees and 8 Kurtis; `fit` has one class, `hem` no label, `never` no row."""
    random = np.random.default_rng(0)
    categories = np.r_[np.zeros(120, np.int64), np.ones(8, np.int64)]
    features = random.normal(2, 3, (128, 6)).astype(np.float32)
    features[:, 5] = 4.0
    scores = features @ random.normal(0, 1, (6, 3)) + random.gumbel(0, 1, (128, 3))
    first = scores.argmax(axis=1)
    second = (features[:, 0] > 2).astype(np.int64)
    targets = np.stack([first, second, np.full(128, -1)], axis=1)
    targets[120:] = np.array([0, -1, 0])
    targets[120:, 2] = np.arange(8) % 3
    targets[::7, 0] = -1
    features[5] = np.nan
    return Encoded(features, categories, targets)
