import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.task_weighting.solvers.power_system import solve_power_system


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("num_rows", [1, 2, 10, 42])
def test_solution_solves_the_equation(power, num_rows):
    generator = np.random.default_rng(num_rows)
    rows = generator.normal(size=(num_rows, 300)) + 0.3
    gramian = torch.from_numpy(rows @ rows.T)
    weights = solve_power_system(gramian, power)
    assert (weights > 0).all()
    torch.testing.assert_close(weights**power * (gramian @ weights), torch.ones_like(weights))


@given(seed=st.integers(0, 999), num_rows=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_gradients_of_very_different_length_are_no_trouble(seed, num_rows):
    generator = np.random.default_rng(seed)
    scales = 10 ** generator.uniform(-4, 4, size=(num_rows, 1))
    rows = (generator.normal(size=(num_rows, 100)) + 0.2) * scales
    gramian = torch.from_numpy(rows @ rows.T)
    weights = solve_power_system(gramian, 1.0)
    torch.testing.assert_close(
        weights * (gramian @ weights), torch.ones_like(weights), rtol=2e-5, atol=0
    )


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_one_task_has_the_closed_form(power):
    gramian = torch.tensor([[7.0]], dtype=torch.float64)
    expected = 7.0 ** (-1 / (1 + power))
    assert solve_power_system(gramian, power).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_where_there_is_no_solution_weights_are_finite_and_cancel(power):
    jacobian = torch.tensor([[1.0, 0.0], [-2.0, 0.0]], dtype=torch.float64)
    weights = solve_power_system(jacobian @ jacobian.T, power)
    assert torch.isfinite(weights).all()
    assert (weights @ jacobian).norm().item() < 1e-3


@given(seed=st.integers(0, 999), num_rows=st.integers(2, 12), rank=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_any_rank_gives_finite_positive_weights(seed, num_rows, rank):
    rows = np.random.default_rng(seed).normal(size=(num_rows, rank))
    weights = solve_power_system(torch.from_numpy(rows @ rows.T), 1.0)
    assert torch.isfinite(weights).all()
    assert (weights > 0).all()
