import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from visual_taxonomy.task_weighting.solvers.quadratic import (
    lawson_hanson,
    min_norm_weights,
    nonnegative_minimum,
    project_on_simplex,
)


def unit_rows(seed, num_rows, num_columns):
    rows = np.random.default_rng(seed).normal(size=(num_rows, num_columns))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(seed=st.integers(0, 999), num_rows=st.integers(1, 12), num_columns=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_nonnegative_minimum_meets_the_conditions_of_optimality(seed, num_rows, num_columns):
    rows = unit_rows(seed, num_rows, num_columns)
    matrix, linear = rows @ rows.T, rows @ np.random.default_rng(seed + 1).normal(size=num_columns)
    x = nonnegative_minimum(matrix, linear)
    slope = matrix @ x - linear
    assert (x >= 0).all()
    assert (slope >= -1e-7).all()
    assert abs(x @ slope) <= 1e-6 * max(1.0, np.abs(x).max())


@pytest.mark.parametrize("num_columns", [6, 30])
def test_nonnegative_minimum_is_the_one_of_scipy(num_columns):
    for seed in range(20):
        rows = unit_rows(seed, 10, num_columns)
        target = np.random.default_rng(seed).normal(size=num_columns)
        expected, distance = nnls(rows.T, target)
        found = nonnegative_minimum(rows @ rows.T, rows @ target)
        assert np.linalg.norm(rows.T @ found - target) == pytest.approx(distance, abs=1e-7)
        if num_columns > 10:
            np.testing.assert_allclose(found, expected, atol=1e-7)


def test_one_by_one_gives_the_same_as_in_blocks():
    for seed in range(20):
        rows = unit_rows(seed, 8, 30)
        matrix, linear = rows @ rows.T, rows @ np.ones(30)
        found = lawson_hanson(matrix, linear, 1e-12)
        np.testing.assert_allclose(found, nonnegative_minimum(matrix, linear), atol=1e-9)


def test_nothing_to_gain_is_zero():
    assert nonnegative_minimum(np.eye(3), -np.ones(3)).tolist() == [0.0, 0.0, 0.0]


def shortest_by_scipy(rows):
    """The recipe on the rows themselves, with SciPy's solver."""
    scaled = rows / np.linalg.norm(rows, axis=1).min()
    stacked = np.vstack([scaled.T, np.ones(len(rows))])
    target = np.zeros(len(stacked))
    target[-1] = 1.0
    weights = nnls(stacked, target, maxiter=10_000)[0]
    return weights / weights.sum()


@pytest.mark.parametrize("num_rows", [1, 2, 8, 42])
@pytest.mark.parametrize("spread", [0.0, 2.0, 4.0])
def test_shortest_combination_is_no_longer_than_that_of_scipy(num_rows, spread):
    generator = np.random.default_rng(num_rows)
    scales = 10 ** generator.uniform(-spread, spread, size=(num_rows, 1))
    rows = generator.normal(size=(num_rows, 60)) * scales
    weights = min_norm_weights(torch.from_numpy(rows @ rows.T)).numpy()
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0)
    expected = np.linalg.norm(shortest_by_scipy(rows) @ rows)
    assert np.linalg.norm(weights @ rows) <= expected * (1 + 1e-9)


@given(seed=st.integers(0, 999), num_rows=st.integers(2, 10), rank=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_no_random_point_of_the_simplex_is_shorter(seed, num_rows, rank):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(num_rows, rank))
    gramian = rows @ rows.T
    weights = min_norm_weights(torch.from_numpy(gramian)).numpy()
    points = generator.dirichlet(np.ones(num_rows), size=50)
    lengths = np.einsum("pi,ij,pj->p", points, gramian, points)
    assert weights @ gramian @ weights <= lengths.min() + 1e-9 * gramian.trace()


def test_equal_gradients_share_the_weight_or_one_takes_it():
    weights = min_norm_weights(torch.ones(3, 3, dtype=torch.float64))
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights.min().item() >= 0


@pytest.mark.parametrize(
    ("point", "projection"),
    [
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([1.2, 1.3, 1.5], [0.2, 0.3, 0.5]),
        ([2.0, 0.0], [1.0, 0.0]),
        ([5.0], [1.0]),
        ([0.9, 0.5, -1.0], [0.7, 0.3, 0.0]),
    ],
)
def test_projection_on_the_simplex_is_the_one_computed_by_hand(point, projection):
    found = project_on_simplex(torch.tensor(point, dtype=torch.float64))
    assert found.tolist() == pytest.approx(projection)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_projection_is_on_the_simplex_and_nearest(numbers):
    point = torch.tensor(numbers, dtype=torch.float64)
    projection = project_on_simplex(point)
    assert projection.min().item() >= 0
    assert projection.sum().item() == pytest.approx(1.0)
    for vertex in torch.eye(len(point), dtype=torch.float64):  # obtuse angle to every vertex
        assert ((point - projection) @ (vertex - projection)).item() <= 1e-9
