import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from visual_taxonomy.effective_number import checked_counts, effective_number_weights
from visual_taxonomy.errors import InputError


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (0.0, [1, 1, 1]),
        (0.9, [0.2375, 0.387676, 2.374824]),
        (0.99, [0.044504, 0.306324, 2.649172]),
        (0.999, [0.031019, 0.297968, 2.671013]),
        (0.9999, [0.029833, 0.297124, 2.673043]),
        (1.0, [0.029703, 0.29703, 2.673267]),
    ],
)
def test_worked_weights(beta, expected):
    weights = effective_number_weights(torch.tensor([90, 9, 1]), beta)
    assert_close(weights, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("beta", "expected"), [(0.999, [0.667777, 0, 1.332223]), (1.0, [0.666667, 0, 1.333333])]
)
def test_absent_class_has_weight_zero(beta, expected):
    weights = effective_number_weights(torch.tensor([10, 0, 5]), beta)
    assert_close(weights, torch.tensor(expected), rtol=0, atol=1e-5)


def test_equals_the_published_formula_in_numpy():
    counts, beta = np.array([5000, 300, 47, 3]), 0.999
    raw = (1 - beta) / (1 - np.power(beta, counts))
    expected = torch.tensor(raw / raw.sum() * 4, dtype=torch.float32)
    assert_close(effective_number_weights(torch.tensor(counts), beta), expected)


def test_beta_near_one_approaches_inverse_frequency():
    counts = torch.tensor([90, 9, 1])
    near = effective_number_weights(counts, 1 - 1e-13)
    assert_close(near, effective_number_weights(counts, 1.0))


def test_all_absent_gives_zeros():
    assert effective_number_weights(torch.zeros(2), 0.9).tolist() == [0, 0]


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 10**15), min_size=1, max_size=8).filter(any),
    beta=st.floats(0, 1),
)
def test_mean_is_one_over_present_classes_and_weights_fall_with_the_count(counts, beta):
    weights = effective_number_weights(torch.tensor(counts), beta)
    present = torch.tensor(counts) > 0
    assert weights.isfinite().all()
    assert (weights[~present] == 0).all()
    assert weights[present].mean().item() == pytest.approx(1, rel=1e-5)
    by_count = weights[present][torch.tensor(counts)[present].argsort()]
    assert (by_count.diff() <= 1e-6).all()


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan"), "0.9"])
def test_beta_outside_its_range_is_an_error(beta):
    with pytest.raises(InputError, match=r"beta: .*, expected a number from 0 to 1"):
        effective_number_weights(torch.tensor([1]), beta)


def test_counts_that_are_no_counts_are_errors():
    with pytest.raises(InputError, match="class counts: class 1 has nan, expected a number >= 0"):
        checked_counts(torch.tensor([1, float("nan")]))
    with pytest.raises(InputError, match=r"expected one per class, got shape \[1, 2\]"):
        checked_counts(torch.ones(1, 2))
    with pytest.raises(InputError, match=r"expected one per class, got shape \[0\]"):
        checked_counts(torch.ones(0))
