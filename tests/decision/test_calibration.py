from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.decision.calibration import Calibration, calibrated, fit_calibration
from visual_taxonomy.decision.cells import log_prior, read_cells


def negative_log_likelihood(parameters, cells, chosen):
    slope, exponent = parameters
    scores = slope * cells.logs[chosen] + exponent * cells.log_prior[cells.heads[chosen]]
    scores = np.where(cells.has_class[cells.heads[chosen]], scores, -np.inf)
    scores -= scores.max(axis=1, keepdims=True)
    own = np.arange(len(scores)), cells.labels[chosen]
    return (np.log(np.exp(scores).sum(axis=1)) - scores[own]).sum()


def test_without_temperature_and_prior_the_probabilities_stay(drawn):
    held_out = drawn(200)
    cells = read_cells(held_out)
    same = calibrated(cells, Calibration(np.ones(3), np.zeros(3)))
    for head, task in enumerate(held_out.heads()):
        ours = same[cells.heads == head]
        np.testing.assert_allclose(ours[:, : len(task.task.classes)], task.probabilities)
        assert not ours[:, len(task.task.classes) :].any()


def test_without_shrinkage_each_head_has_the_minimum_scipy_finds(drawn):
    cells = read_cells(drawn(600, temperature=1.8, tau=0.5))
    found = fit_calibration(cells, shrinkage=0.0)
    for head in range(3):
        theirs = minimize(
            negative_log_likelihood,
            (1.0, 0.0),
            args=(cells, cells.heads == head),
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000},
        ).x
        assert (found.slope[head], found.exponent[head]) == pytest.approx(theirs, abs=1e-4)


def test_infinite_shrinkage_gives_all_heads_the_one_fit(drawn):
    cells = read_cells(drawn(600, temperature=1.8, tau=0.5))
    found = fit_calibration(cells, shrinkage=np.inf)
    # One label's worth of doubt around (1, 0) is what the fit adds to the likelihood.
    theirs = minimize(
        lambda x: (
            negative_log_likelihood(x, cells, slice(None)) + ((x[0] - 1) ** 2 + x[1] ** 2) / 2
        ),
        (1.0, 0.0),
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9},
    ).x
    for head in range(3):
        assert (found.slope[head], found.exponent[head]) == pytest.approx(theirs, abs=1e-4)
    almost = fit_calibration(cells, shrinkage=1e9)
    np.testing.assert_allclose(almost.slope, found.slope, atol=1e-4)


def test_a_head_with_few_labels_stays_near_the_others(drawn):
    cells = read_cells(drawn(2000, temperature=2.0))
    is_kept = (cells.heads != 2) | (np.arange(len(cells)) % 100 == 0)
    few = cells.take(is_kept)
    pooled = fit_calibration(few, shrinkage=np.inf).slope[2]
    own = fit_calibration(few, shrinkage=0.0).slope[2]
    between = fit_calibration(few).slope[2]
    assert abs(between - pooled) < 0.3 * abs(own - pooled)


def test_the_true_temperature_and_prior_exponent_are_found(drawn):
    cells = read_cells(drawn(8000, temperature=2.0, tau=0.6))
    found = fit_calibration(cells)
    np.testing.assert_allclose(1 / found.slope, 2.0, rtol=0.06)
    np.testing.assert_allclose(found.exponent, 0.3, atol=0.06)


def test_with_equal_shares_it_is_the_temperature_scaling_of_scikit_learn(drawn):
    held_out = drawn(1000, sizes=(4,), temperature=2.5)
    held_out = replace(held_out, class_counts={"k0/a0": [1, 1, 1, 1]})
    cells = read_cells(held_out)
    found = fit_calibration(cells, shrinkage=0.0)
    assert found.exponent[0] == pytest.approx(0.0, abs=1e-6)
    # A model whose logits are its features, so that scikit-learn calibrates what we calibrate.
    model = LogisticRegression()
    model.classes_, model.coef_ = np.arange(4), np.eye(4)
    model.intercept_, model.n_features_in_ = np.zeros(4), 4
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature", ensemble=False)
    theirs.fit(cells.logs, cells.labels)
    np.testing.assert_allclose(
        calibrated(cells, found), theirs.predict_proba(cells.logs), atol=2e-3
    )


def test_a_fit_does_not_depend_on_where_it_starts(drawn):
    cells = read_cells(drawn(500, temperature=2.0, tau=0.5))
    start = Calibration(np.array([0.1, 5.0, 1.0]), np.array([-2.0, 2.0, 0.0]))
    for ours, theirs in zip(
        fit_calibration(cells), fit_calibration(cells, start=start), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_without_labels_nothing_is_changed(drawn):
    cells = read_cells(drawn(50)).take(np.zeros(0, dtype=int))
    found = fit_calibration(cells)
    assert found.slope.tolist() == [1.0] * 3
    assert found.exponent.tolist() == [0.0] * 3
    assert calibrated(cells, found).shape == (0, 6)


def test_a_model_that_is_always_right_keeps_finite_probabilities(drawn):
    held_out = drawn(100, sizes=(2, 1))
    p = np.zeros_like(held_out.probabilities)
    np.put_along_axis(p, np.maximum(held_out.targets, 0)[..., None], 1.0, axis=2)
    found = fit_calibration(read_cells(replace(held_out, probabilities=p)), shrinkage=0.0)
    assert np.isfinite(found.slope).all()
    assert (found.slope > 0).all()


def test_prior_of_a_class_that_was_never_seen_is_that_of_counts_raised_by_one():
    np.testing.assert_allclose(np.exp(log_prior(np.array([8, 1, 0]))), [9 / 12, 2 / 12, 1 / 12])
    np.testing.assert_allclose(np.exp(log_prior(np.array([8, 2]))), [0.8, 0.2])
    assert log_prior(np.array([0])).tolist() == [0.0]
