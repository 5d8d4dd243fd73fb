import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.witnesses.fusion import (
    FusionCells,
    fit_powers,
    fused,
    penalised_nll,
    plain_product,
    stacked_logs,
)

PRIOR = np.log([0.7, 0.2, 0.1])


def draw(cells, heads=1, witnesses=2, seed=0, sharpness=1.0):
    """Independent witnesses given the class, each with the prior in it, as the truth has them."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, cells, p=np.exp(PRIOR))
    logs = []
    for _ in range(witnesses):
        seen = random.normal(0, 1, (cells, 3)) + 1.5 * np.eye(3)[labels]
        # log-likelihood of a normal variable, up to a constant: 1.5 * seen.
        scores = 1.5 * seen + PRIOR
        logs.append(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
    logs = [sharpness * each for each in logs]
    stacked = stacked_logs(logs, np.tile(PRIOR, (cells, 1)))
    has_class = np.ones((heads, 3), bool)
    return FusionCells(stacked, labels, np.arange(cells) % heads, has_class)


def test_independent_witnesses_multiply_and_the_prior_counts_once():
    powers = fit_powers(draw(20_000, witnesses=3))[0]
    np.testing.assert_allclose(powers, [1, 1, 1, -2], atol=0.12)
    np.testing.assert_array_equal(plain_product(3), [1, 1, 1, -2])


def test_witnesses_that_are_too_sure_get_lower_powers():
    powers = fit_powers(draw(20_000, sharpness=2.0))[0]
    np.testing.assert_allclose(powers[:2], 0.5, atol=0.05)


def test_powers_are_those_that_scipy_finds():
    cells = draw(400, heads=3)
    found = fit_powers(cells, shrinkage=0.0)

    def nll(x, chosen):
        scores = np.einsum("p,mpc->mc", x, cells.logs[chosen])
        own = np.arange(len(chosen)), cells.labels[chosen]
        return (np.log(np.exp(scores).sum(axis=1)) - scores[own]).sum()

    for head in range(3):
        chosen = np.flatnonzero(cells.heads == head)
        theirs = minimize(nll, plain_product(2), args=(chosen,), options={"gtol": 1e-8}).x
        np.testing.assert_allclose(found[head], theirs, atol=1e-3)


def test_two_classes_are_a_logistic_regression_on_log_odds():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    odds = random.normal(0, 1, (500, 2)) + labels[:, None]
    logs = [np.stack([np.zeros(500), each], axis=1) for each in odds.T]
    prior = np.log([0.4, 0.6])
    stacked = stacked_logs(logs, np.tile(prior, (500, 1)))
    cells = FusionCells(stacked, labels, np.zeros(500, int), np.ones((1, 2), bool))
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(odds, labels)
    found = fit_powers(cells, shrinkage=0.0)[0]
    np.testing.assert_allclose(found[:2], theirs.coef_[0], atol=1e-3)
    assert found[2] * (prior[1] - prior[0]) == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_the_gradient_is_that_of_differences():
    cells, random = draw(60, heads=2), np.random.default_rng(3)
    chosen, centre = np.flatnonzero(cells.heads == 1), plain_product(2)
    half = random.normal(0, 1, (3, 3))
    penalty = half @ half.T
    at = np.array([0.7, 1.2, -0.4])
    _, gradient = penalised_nll(cells, chosen, at, centre, penalty)
    for power in range(3):
        step = 1e-6 * np.eye(3)[power]
        above = penalised_nll(cells, chosen, at + step, centre, penalty)[0]
        below = penalised_nll(cells, chosen, at - step, centre, penalty)[0]
        assert gradient[power] == pytest.approx((above - below) / 2e-6, rel=1e-5)


def test_a_head_of_few_labels_stays_near_all_heads():
    cells = draw(3000, heads=2, sharpness=2.0)
    few = np.flatnonzero((cells.heads == 0) | (np.arange(3000) < 20))
    cells = FusionCells(cells.logs[few], cells.labels[few], cells.heads[few], cells.has_class)
    own, shrunk = fit_powers(cells, shrinkage=0.0), fit_powers(cells)
    shared = fit_powers(cells, shrinkage=1e9)[0]
    assert np.abs(shrunk[1] - shared).max() < 0.3 * np.abs(own[1] - shared).max()


def test_without_labels_the_powers_are_the_plain_product():
    none = draw(0, heads=2)
    np.testing.assert_array_equal(fit_powers(none), np.tile(plain_product(2), (2, 1)))


def test_powers_stay_within_bounds_for_a_witness_that_is_always_right():
    cells = draw(200)
    logs = cells.logs.copy()
    logs[:, 0] = np.log(np.where(np.eye(3)[cells.labels] > 0, 0.6, 0.2))
    logs[:, 1] *= -1.0  # one that is wrong
    powers = fit_powers(FusionCells(logs, cells.labels, cells.heads, cells.has_class), 0.0)[0]
    assert 1 < powers[0] <= 20
    assert powers[1] >= 0


def test_classes_that_a_head_lacks_have_no_share():
    logs = np.zeros((1, 2, 3))
    found = fused(logs, np.ones((1, 2)), np.array([[True, True, False]]))
    np.testing.assert_array_equal(found, [[0.5, 0.5, 0.0]])
