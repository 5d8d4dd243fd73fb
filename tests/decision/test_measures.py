import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from visual_taxonomy.decision.measures import BINS, equal_mass_bins, measure


def sample(rows=900, classes=3, sharpness=1.0, seed=0):
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.ones(classes), rows)
    labels = (p.cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
    said = p**sharpness
    return said / said.sum(axis=1, keepdims=True), labels


def measured(p, labels, heads=None):
    heads = np.zeros(len(labels), dtype=int) if heads is None else heads
    return measure(p, labels, heads, np.arange(len(labels)), samples=50)


def test_nll_and_brier_are_those_of_scikit_learn():
    p, labels = sample()
    found = measured(p, labels)
    assert found.nll.value == pytest.approx(log_loss(labels, p))
    assert found.brier.value == pytest.approx(brier_score_loss(labels, p, scale_by_half=False))
    assert found.nll.low < found.nll.value < found.nll.high


def test_top_label_error_is_that_of_scikit_learns_quantile_curve():
    p, labels = sample(sharpness=2.0)
    confidence, is_right = p.max(axis=1), p.argmax(axis=1) == labels
    true, said = calibration_curve(is_right, confidence, n_bins=BINS, strategy="quantile")
    # 900 different values in 15 bins: each holds 60, so the mean over bins is that over cells.
    assert measured(p, labels).ece.value == pytest.approx(np.abs(true - said).mean(), abs=2e-3)


def test_classwise_error_is_the_mean_over_classes():
    p, labels = sample()
    errors = []
    for label in range(3):
        order = np.argsort(p[:, label], kind="stable").reshape(BINS, -1)
        shares = (labels[order] == label).mean(axis=1)
        errors.append(np.abs(shares - p[order, label].mean(axis=1)).mean())
    assert measured(p, labels).classwise_ece.value == pytest.approx(np.mean(errors))


def test_heads_count_by_their_labels():
    three, two = sample(600, 3), sample(300, 2, seed=1)
    p = np.zeros((900, 3))
    p[:600], p[600:, :2] = three[0], two[0]
    labels = np.concatenate([three[1], two[1]])
    both = measured(p, labels, np.repeat([0, 1], [600, 300]))
    alone = [measured(*each).classwise_ece.value for each in (three, two)]
    assert both.classwise_ece.value == pytest.approx((2 * alone[0] + alone[1]) / 3)


def test_true_probabilities_err_little_and_sharpened_ones_much():
    honest, sharp = (measured(*sample(6000, sharpness=s)) for s in (1.0, 2.0))
    assert honest.ece.value < 0.02 < 0.1 < sharp.ece.low
    assert honest.classwise_ece.value < 0.02 < 0.05 < sharp.classwise_ece.low


def test_a_confidence_of_one_is_in_a_bin_with_others():
    p = np.array([[1.0, 0.0]] * 15 + [[0.6, 0.4]] * 15)
    labels = np.array([0] * 15 + [0, 0, 0, 1, 1] * 3)
    assert measured(p, labels).ece.value == pytest.approx(0.16)  # 4.8 / 30 over the pairs, by hand
    assert np.bincount(equal_mass_bins(p.max(axis=1))).tolist() == [2] * 15


def test_without_labels_there_is_no_measure():
    found = measured(np.zeros((0, 3)), np.zeros(0, dtype=int))
    assert np.isnan(found.nll).all()
