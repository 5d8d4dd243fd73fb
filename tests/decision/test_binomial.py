import numpy as np
import pytest
from scipy import stats

from visual_taxonomy.decision.binomial import binomial_cdf, share_above, share_interval


@pytest.mark.parametrize("trials", [1, 2, 10, 137, 5000, 1_000_000])
def test_cdf_is_that_of_scipy(trials):
    successes = np.unique(np.linspace(0, trials, 41).astype(int))
    for share in (1e-6, 0.01, 0.05, 0.1, 0.5, 0.93, 1 - 1e-6):
        ours = binomial_cdf(successes, np.array(trials), np.array(share))
        np.testing.assert_allclose(
            ours, stats.binom.cdf(successes, trials, share), rtol=1e-7, atol=1e-14
        )


@pytest.mark.parametrize("level", [0.01, 0.05, 0.5])
def test_upper_bound_is_the_quantile_of_the_beta_distribution(level):
    trials = np.repeat([1, 5, 40, 700, 20_000], 5)
    successes = (trials * np.tile([0.0, 0.05, 0.3, 0.9, 1.0], 5)).astype(int)
    expected = stats.beta.ppf(1 - level, successes + 1, np.maximum(trials - successes, 1e-9))
    expected[successes == trials] = 1.0
    np.testing.assert_allclose(share_above(successes, trials, level), expected, rtol=1e-9)


def test_interval_is_that_of_scipy():
    successes, trials = np.array([0, 10, 9, 431]), np.array([10, 10, 10, 500])
    found = np.stack(share_interval(successes, trials), axis=1)
    for interval, *counts in zip(found, successes, trials, strict=True):
        exact = stats.binomtest(*map(int, counts)).proportion_ci(0.95, "exact")
        assert interval == pytest.approx(tuple(exact), abs=1e-12)


def test_no_trial_bounds_nothing():
    nothing = np.array([0])
    assert share_above(nothing, nothing, 0.05).tolist() == [1.0]
    assert share_interval(nothing, nothing) == (0.0, 1.0)
