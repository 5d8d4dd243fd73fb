import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.witnesses.fusion import (
    FusionHead,
    _penalised,
    fit_powers,
    fused,
    plain_product,
)

PRIOR = np.log([0.7, 0.2, 0.1])


def draw(cells, witnesses=2, seed=0, sharpness=1.0):
    """Independent witnesses given the class, each with the prior in it, as the truth has them."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, cells, p=np.exp(PRIOR))
    logs = []
    for _ in range(witnesses):
        seen = random.normal(0, 1, (cells, 3)) + 1.5 * np.eye(3)[labels]
        # The log-likelihood of a normal variable is 1.5 * seen, up to a constant.
        scores = 1.5 * seen + PRIOR
        logs.append(sharpness * (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))))
    return FusionHead(np.stack([*logs, np.tile(PRIOR, (cells, 1))], axis=1), labels)


def nll(powers, head):
    scores = np.einsum("p,mpc->mc", powers, head.logs)
    own = np.arange(len(head.labels)), head.labels
    return (np.log(np.exp(scores).sum(axis=1)) - scores[own]).sum()


def test_independent_witnesses_multiply_and_the_prior_counts_once():
    powers = fit_powers([draw(20_000, witnesses=3)])[0]
    np.testing.assert_allclose(powers, [1, 1, 1, -2], atol=0.12)
    np.testing.assert_array_equal(plain_product(3), [1, 1, 1, -2])


def test_witnesses_that_are_too_sure_get_lower_powers():
    powers = fit_powers([draw(20_000, sharpness=2.0)])[0]
    np.testing.assert_allclose(powers[:2], 0.5, atol=0.05)


def test_powers_are_those_that_scipy_finds():
    heads = [draw(150, seed=seed) for seed in range(3)]
    found = fit_powers(heads, shrinkage=0.0)
    for head, powers in zip(heads, found, strict=True):
        theirs = minimize(nll, plain_product(2), args=(head,), options={"gtol": 1e-8}).x
        np.testing.assert_allclose(powers, theirs, atol=1e-3)


def test_two_classes_are_a_logistic_regression_on_log_odds():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    odds = random.normal(0, 1, (500, 2)) + labels[:, None]
    logs = [np.stack([np.zeros(500), each], axis=1) for each in odds.T]
    prior = np.log([0.4, 0.6])
    head = FusionHead(np.stack([*logs, np.tile(prior, (500, 1))], axis=1), labels)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(odds, labels)
    found = fit_powers([head], shrinkage=0.0)[0]
    np.testing.assert_allclose(found[:2], theirs.coef_[0], atol=1e-3)
    assert found[2] * (prior[1] - prior[0]) == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_gradient_and_curvature_are_those_of_differences():
    head, random = draw(60), np.random.default_rng(3)
    half = random.normal(0, 1, (3, 3))
    given = plain_product(2), half @ half.T
    at = np.array([0.7, 1.2, -0.4])
    sums = _penalised([head], at, *given)
    away = at - given[0]
    assert sums.value == pytest.approx(nll(at, head) + away @ given[1] @ away / 2)
    for power, step in enumerate(1e-6 * np.eye(3)):
        above, below = (_penalised([head], at + way * step, *given) for way in (1, -1))
        slope = (above.value - below.value) / 2e-6
        assert sums.gradient[power] == pytest.approx(slope, rel=1e-5)
        bend = (above.gradient - below.gradient) / 2e-6
        np.testing.assert_allclose(sums.curvature[power], bend, rtol=1e-4, atol=1e-6)


def test_a_head_of_few_labels_stays_near_all_heads():
    heads = [draw(3000, sharpness=2.0), draw(15, sharpness=0.5, seed=1)]
    own, shrunk = fit_powers(heads, shrinkage=0.0), fit_powers(heads)
    shared = fit_powers(heads, shrinkage=1e9)[0]
    assert np.abs(shrunk[1] - shared).max() < 0.3 * np.abs(own[1] - shared).max()


def test_without_labels_the_powers_are_the_plain_product():
    none = draw(0)
    np.testing.assert_array_equal(fit_powers([none, none]), np.tile(plain_product(2), (2, 1)))


def test_powers_stay_within_bounds_for_a_witness_that_is_always_right():
    head = draw(200)
    logs = head.logs.copy()
    logs[:, 0] = np.log(np.where(np.eye(3)[head.labels] > 0, 0.6, 0.2))
    logs[:, 1] *= -1.0  # one that is wrong
    powers = fit_powers([FusionHead(logs, head.labels)], 0.0)[0]
    assert 1 < powers[0] <= 20
    assert powers[1] >= 0


def test_a_single_witness_is_calibrated():
    """Without others the powers are 1 / T and b of a temperature and a prior exponent."""
    head = draw(20_000, witnesses=1, sharpness=4.0)
    np.testing.assert_allclose(fit_powers([head])[0], [0.25, 0.0], atol=0.02)
    np.testing.assert_allclose(fused(head.logs, np.array([0.0, 1.0]))[0], np.exp(PRIOR))
