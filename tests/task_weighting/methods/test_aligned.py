import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.aligned import AlignedMultiTask, aligned_weights

NAMES = ["c/a", "c/b", "c/d"]


def test_two_tasks_have_the_numbers_computed_by_hand(gramian_of, update, two_rows):
    weights = aligned_weights(gramian_of(two_rows), torch.ones(2))
    assert weights.tolist() == pytest.approx([1.041514, 0.94683], abs=1e-6)
    direction = update(AlignedMultiTask(NAMES), two_rows)
    assert direction.tolist() == pytest.approx([0.568098, 0.94683], abs=2e-6)


@pytest.mark.parametrize(
    ("scale", "direction"),
    [
        ("min", [0.608372, 0.836147, 0.859853]),
        ("median", [0.972565, 1.336694, 1.374591]),
        ("rmse", [1.148887, 1.57903, 1.623799]),
    ],
)
def test_three_tasks_have_the_numbers_of_each_scale(scale, direction, update, three_rows):
    found = update(AlignedMultiTask(NAMES, scale=scale), three_rows)
    assert found.tolist() == pytest.approx(direction, abs=3e-6)


def test_mean_is_the_sum_over_the_number_of_tasks(update, two_rows):
    found = update(AlignedMultiTask(NAMES, reduction="mean"), two_rows)
    assert found.tolist() == pytest.approx([0.284049, 0.473415], abs=2e-6)


def test_parallel_gradients_leave_one_component(gramian_of, update):
    rows = [[1.0, 0.0], [2.0, 0.0]]
    assert aligned_weights(gramian_of(rows), torch.ones(2)).tolist() == pytest.approx([0.6, 1.2])
    assert update(AlignedMultiTask(NAMES), rows).tolist() == pytest.approx([3.0, 0.0])


def test_orthonormal_gradients_keep_their_sum():
    weights = aligned_weights(torch.eye(3, dtype=torch.float64), torch.ones(3))
    assert weights.tolist() == pytest.approx([1.0] * 3)


def test_aligned_gradients_are_orthogonal_and_equally_long(gramian_of, three_rows):
    gramian = gramian_of(three_rows)
    balance = torch.stack([aligned_weights(gramian, unit) for unit in torch.eye(3)])
    smallest = torch.linalg.eigvalsh(gramian)[0]
    expected = smallest * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(balance @ gramian @ balance.T, expected)


def test_agrees_with_torchjd_up_to_the_number_of_tasks(gramian_of):
    from torchjd.aggregation import AlignedMTLWeighting

    gramian = gramian_of(torch.randn(6, 30).tolist())
    weights = aligned_weights(gramian, torch.full((6,), 1 / 6))
    torch.testing.assert_close(weights, AlignedMTLWeighting()(gramian), atol=1e-5, rtol=1e-5)


def test_unknown_choices_are_refused():
    with pytest.raises(InputError, match="scale 'max' is none of: min, median, rmse"):
        AlignedMultiTask(NAMES, scale="max")
    with pytest.raises(InputError, match="reduction 'max' is none of: sum, mean"):
        AlignedMultiTask(NAMES, reduction="max")
