import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.ca_grad import (
    ConflictAverseGradient,
    conflict_averse_correction,
)

NAMES = ["c/a", "c/b", "c/d"]


@pytest.mark.parametrize(
    ("rescale", "direction"),
    [
        (0, [0.457889, 0.686834]),
        (1, [0.366312, 0.549467]),
        (2, [0.30526, 0.457889]),
    ],
)
def test_two_tasks_have_the_numbers_of_each_rescale(rescale, direction, update, two_rows):
    found = update(ConflictAverseGradient(NAMES, rescale=rescale), two_rows)
    assert found.tolist() == pytest.approx(direction, abs=2e-6)


@pytest.mark.parametrize(
    ("rescale", "direction"),
    [(0, [0.362402, 0.543604, 0.666667]), (1, [0.289922, 0.434883, 0.533333])],
)
def test_three_tasks_have_the_numbers_of_each_rescale(rescale, direction, update, three_rows):
    found = update(ConflictAverseGradient(NAMES, rescale=rescale), three_rows)
    assert found.tolist() == pytest.approx(direction, abs=2e-6)


def test_correction_points_along_the_weights_computed_by_hand(gramian_of, two_rows, three_rows):
    for rows, weights in (
        (two_rows, [0.617253, 0.382747]),
        (three_rows, [0.466847, 0.533153, 0.0]),
    ):
        correction = conflict_averse_correction(gramian_of(rows), 0.5)
        found = correction / correction.sum()
        assert found.tolist() == pytest.approx(weights, abs=1e-6)


def test_radius_zero_is_the_mean_gradient(update, three_rows):
    direction = update(ConflictAverseGradient(NAMES, radius=0), three_rows)
    assert direction.tolist() == pytest.approx([0.7 / 3, 0.6 / 3, 2.0 / 3])


def test_sum_is_the_mean_times_the_number_of_tasks(update, two_rows):
    direction = update(ConflictAverseGradient(NAMES, rescale=0, reduction="sum"), two_rows)
    assert direction.tolist() == pytest.approx([2 * 0.457889, 2 * 0.686834], abs=3e-6)


def test_large_radius_tends_to_the_shortest_combination(update, two_rows):
    direction = update(ConflictAverseGradient(NAMES, radius=1e4), two_rows)
    expected = torch.tensor([0.307692, 0.461538])
    torch.testing.assert_close(
        direction / direction.norm(), expected / expected.norm(), atol=1e-3, rtol=0
    )


def test_one_task_keeps_its_gradient(update):
    assert update(ConflictAverseGradient(NAMES), [[3.0, 4.0]]).tolist() == [3.0, 4.0]


def test_where_no_correction_helps_it_is_the_mean_gradient(update):
    rows = [[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0]]
    direction = update(ConflictAverseGradient(NAMES, rescale=0), rows)
    assert direction.tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_no_mean_gradient_no_update(update):
    direction = update(ConflictAverseGradient(NAMES), [[1.0, 0.0], [-1.0, 0.0]])
    assert direction.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("num_columns", [2, 4, 30])
@pytest.mark.parametrize("radius", [0.2, 0.5, 2.0])
def test_worst_improvement_is_the_minimum_of_the_dual_found_by_scipy(num_columns, radius):
    jacobian = np.random.default_rng(num_columns).normal(size=(5, num_columns))
    gramian = jacobian @ jacobian.T
    mean = np.full(5, 0.2)
    length = radius * np.sqrt(mean @ gramian @ mean)

    def dual(weights):
        return weights @ gramian @ mean + length * np.sqrt(max(weights @ gramian @ weights, 1e-30))

    starts = [mean, *(0.9 * np.eye(5) + 0.02)]
    lowest = min(
        minimize(
            dual,
            start,
            method="SLSQP",
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
            options={"ftol": 1e-13, "maxiter": 300},
        ).fun
        for start in starts
    )
    correction = conflict_averse_correction(torch.from_numpy(gramian), radius).numpy()
    if correction.any():
        assert correction @ gramian @ correction == pytest.approx(length**2)
        assert min(gramian @ (mean + correction)) == pytest.approx(lowest, abs=1e-6)
    else:
        assert lowest == pytest.approx(0.0, abs=1e-6)


def test_values_out_of_range_are_refused():
    with pytest.raises(InputError, match="radius must not be negative, not -1"):
        ConflictAverseGradient(NAMES, radius=-1)
    with pytest.raises(InputError, match="rescale 3 is none of: 0, 1, 2"):
        ConflictAverseGradient(NAMES, rescale=3)
    with pytest.raises(InputError, match="reduction 'max' is none of: mean, sum"):
        ConflictAverseGradient(NAMES, reduction="max")
