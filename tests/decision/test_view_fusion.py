"""One answer from several images."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from visual_taxonomy.decision.view_fusion import fuse_readable, fuse_views

PRODUCTS = np.array([0, 0, 1, 2, 2, 2])


@pytest.fixture
def shares() -> np.ndarray:
    """[6, 2, 4]; the second slot has three classes."""
    logits = np.random.default_rng(0).normal(0, 2, (6, 2, 4))
    logits[:, 1, 3] = -np.inf
    return softmax(logits, axis=2).astype(np.float32)


def of_product(shares: np.ndarray, product: int) -> np.ndarray:
    return shares[product == PRODUCTS].astype(np.float64)


def test_mean_is_that_of_probabilities(shares: np.ndarray) -> None:
    for product in range(3):
        expected = of_product(shares, product).mean(axis=0)
        assert np.allclose(fuse_views(shares, PRODUCTS, "mean")[product], expected, atol=1e-6)


def test_log_mean_is_the_geometric_mean(shares: np.ndarray) -> None:
    for product in range(3):
        with np.errstate(divide="ignore"):
            expected = softmax(np.log(of_product(shares, product)).mean(axis=0), axis=1)
        assert np.allclose(fuse_views(shares, PRODUCTS, "log_mean")[product], expected, atol=1e-5)


def test_best_is_the_image_of_least_entropy_of_each_slot(shares: np.ndarray) -> None:
    for product in range(3):
        each = of_product(shares, product)
        for slot in range(2):
            least = entropy(each[:, slot], axis=1).argmin()
            found = fuse_views(shares, PRODUCTS, "best")[product, slot]
            assert np.allclose(found, each[least, slot], atol=1e-6)


def test_weighted_leans_on_the_image_that_knows() -> None:
    sure, none = [0.9, 0.05, 0.05], [1 / 3] * 3
    shares = np.array([[sure], [none]], dtype=np.float32)
    fused = fuse_views(shares, np.array([0, 0]), "weighted")
    assert np.allclose(fused[0, 0], sure, atol=1e-4)
    # Where both know the same much, it is the geometric mean.
    shares = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.7, 0.2]]], dtype=np.float32)
    fused = [fuse_views(shares, np.array([0, 0]), how) for how in ("weighted", "log_mean")]
    assert np.allclose(*fused, atol=1e-6)


@pytest.mark.parametrize("how", ["mean", "log_mean", "best", "weighted"])
def test_fused_answers_are_distributions(shares: np.ndarray, how: str) -> None:
    fused = fuse_views(shares, PRODUCTS, how)  # type: ignore[arg-type]
    assert fused.shape == (3, 2, 4)
    assert np.allclose(fused.sum(axis=2), 1, atol=1e-6)
    # One image is its own answer, and what no image has no product has.
    assert np.allclose(fused[1], shares[2], atol=1e-6)
    assert (fused[:, 1, 3] == 0).all()


@pytest.mark.parametrize("how", ["mean", "log_mean", "best", "weighted"])
def test_the_order_of_images_changes_no_answer(shares: np.ndarray, how: str) -> None:
    other = shares[[1, 0, 2, 5, 3, 4]]
    found = [fuse_views(each, PRODUCTS, how) for each in (shares, other)]  # type: ignore[arg-type]
    assert np.allclose(*found, atol=1e-6)


def test_unreadable_images_are_left_out(shares: np.ndarray) -> None:
    readable = np.array([True, False, False, True, True, True])
    fused = fuse_readable(shares, PRODUCTS, readable, 3)
    assert fused.is_answered.tolist() == [True, False, True]
    assert np.allclose(fused.probabilities[0], shares[0], atol=1e-6)
    assert (fused.probabilities[1] == 0).all()


def test_a_slot_without_classes_stays_empty() -> None:
    fused = fuse_views(np.zeros((2, 1, 3), np.float32), np.array([0, 0]), "weighted")
    assert (fused == 0).all()
