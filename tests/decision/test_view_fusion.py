"""One answer from several images."""

import numpy as np
import pytest
from scipy.special import softmax

from visual_taxonomy.decision.view_fusion import fuse_views

PRODUCTS = np.array([0, 0, 1, 2, 2, 2])
ALL = np.ones(6, dtype=bool)


@pytest.fixture
def shares() -> np.ndarray:
    """[6, 2, 4]; the second slot has three classes."""
    logits = np.random.default_rng(0).normal(0, 2, (6, 2, 4))
    logits[:, 1, 3] = -np.inf
    return softmax(logits, axis=2).astype(np.float32)


def test_the_answer_is_the_mean_of_the_images(shares: np.ndarray) -> None:
    fused = fuse_views(shares, PRODUCTS, ALL, 3)
    for product in range(3):
        expected = shares[product == PRODUCTS].astype(np.float64).mean(axis=0)
        assert np.allclose(fused.probabilities[product], expected, rtol=0, atol=1e-7)
    assert np.allclose(fused.probabilities.sum(axis=2), 1, atol=1e-6)
    assert (fused.probabilities[:, 1, 3] == 0).all()
    assert fused.is_answered.all()


def test_one_image_is_its_own_answer_bit_for_bit(shares: np.ndarray) -> None:
    assert (fuse_views(shares, PRODUCTS, ALL, 3).probabilities[1] == shares[2]).all()


def test_the_order_of_images_changes_no_answer(shares: np.ndarray) -> None:
    order = [1, 0, 2, 5, 3, 4]
    one, other = (fuse_views(each, PRODUCTS, ALL, 3)[0] for each in (shares, shares[order]))
    assert np.allclose(one, other, atol=1e-7)


def test_unreadable_images_are_left_out(shares: np.ndarray) -> None:
    readable = np.array([True, False, False, True, True, True])
    fused = fuse_views(shares, PRODUCTS, readable, 3)
    assert fused.is_answered.tolist() == [True, False, True]
    assert (fused.probabilities[0] == shares[0]).all()
    assert (fused.probabilities[1] == 0).all()
    nothing = fuse_views(shares, PRODUCTS, ~ALL, 3)
    assert not nothing.is_answered.any()
    assert (nothing.probabilities == 0).all()
