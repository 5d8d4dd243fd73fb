import numpy as np
import pytest
from scipy import special

from visual_taxonomy.inference.engines.base import softmax


def test_softmax_is_that_of_scipy() -> None:
    logits = np.random.default_rng(0).normal(0, 30, (5, 3, 4)).astype(np.float32)
    logits[:, 1, 2:] = -np.inf
    found = softmax(logits)
    assert found == pytest.approx(special.softmax(logits.astype(float), axis=2), abs=1e-6)
    assert found.dtype == np.float32


def test_a_slot_without_classes_has_no_probability() -> None:
    assert (softmax(np.full((2, 3), -np.inf)) == 0).all()
