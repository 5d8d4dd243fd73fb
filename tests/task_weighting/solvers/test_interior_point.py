import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from visual_taxonomy.task_weighting.solvers import interior_point
from visual_taxonomy.task_weighting.solvers.interior_point import (
    _interior_point,
    nonnegative_minima,
)


def unit_rows(seed, num_rows, num_columns):
    rows = np.random.default_rng(seed).normal(size=(num_rows, num_columns))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def distances(rows, targets, coefficients):
    return np.linalg.norm(coefficients @ rows - targets, axis=1)


def distances_by_scipy(rows, targets):
    return [nnls(rows.T, target)[1] for target in targets]


@given(seed=st.integers(0, 999), num_rows=st.integers(1, 12), num_columns=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_minima_are_those_of_scipy(seed, num_rows, num_columns):
    rows = unit_rows(seed, num_rows, num_columns)
    targets = np.random.default_rng(seed + 1).normal(size=(5, num_columns))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    found = nonnegative_minima(rows @ rows.T, targets @ rows.T)
    assert (found >= 0).all()
    assert distances(rows, targets, found) == pytest.approx(
        distances_by_scipy(rows, targets), abs=1e-7
    )


@pytest.mark.parametrize("rank", [3, 14, 21, 28, 42])
@pytest.mark.parametrize("sign", [1, -1])
def test_42_vectors_of_any_rank_are_projected_as_scipy_does(rank, sign):
    rows = unit_rows(rank, 42, rank)
    found = nonnegative_minima(rows @ rows.T, sign * rows @ rows.T)
    assert (found >= 0).all()
    assert distances(rows, sign * rows, found) == pytest.approx(
        distances_by_scipy(rows, sign * rows), abs=1e-9
    )


@pytest.mark.parametrize("num_columns", [3, 5, 30])
def test_interior_points_alone_find_the_same_minima(num_columns):
    rows = unit_rows(num_columns, 10, num_columns)
    found = _interior_point(rows @ rows.T + 1e-13 * np.eye(10), -rows @ rows.T)
    assert (found >= 0).all()
    assert distances(rows, -rows, found) == pytest.approx(distances_by_scipy(rows, -rows), abs=1e-9)


def test_what_interior_points_leave_is_solved_one_by_one(monkeypatch):
    monkeypatch.setattr(interior_point, "_MAX_STEPS", 3)
    rows = unit_rows(21, 42, 21)
    found = nonnegative_minima(rows @ rows.T, -rows @ rows.T)
    assert distances(rows, -rows, found) == pytest.approx(distances_by_scipy(rows, -rows), abs=1e-9)


def test_inner_products_with_the_rounding_of_float32_are_no_trouble():
    rows = unit_rows(7, 42, 21)
    rows[30:] = rows[:12]
    matrix = (rows.astype(np.float32) @ rows.T.astype(np.float32)).astype(np.float64)
    found = nonnegative_minima(matrix, -matrix)
    assert (found >= 0).all()
    assert distances(rows, -rows, found) == pytest.approx(distances_by_scipy(rows, -rows), abs=1e-4)


def test_nothing_to_gain_is_zero():
    assert nonnegative_minima(np.eye(3), -np.ones((2, 3))).tolist() == [[0.0] * 3] * 2
