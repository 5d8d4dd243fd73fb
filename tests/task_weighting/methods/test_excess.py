import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.excess import ExcessRisk

NAMES = ["c/a", "c/b", "c/d"]
ALL = [0, 1, 2]


def scaled(rows, factors):
    return [[factor * entry for entry in row] for row, factor in zip(rows, factors, strict=True)]


def test_three_steps_have_the_numbers_computed_by_hand(update, three_rows):
    method = ExcessRisk(NAMES)
    update(method, three_rows)
    assert method.first.tolist() == pytest.approx([1.0, 1.5, 2.6], abs=1e-5)  # |g|_1
    assert method.weights.tolist() == [1.0, 1.0, 1.0]
    for factors, weights, direction in (
        ((0.9, 0.5, 1.2), [1.000191, 0.996413, 1.003395], [0.891884, 0.016577, 2.408148]),
        ((0.8, 0.4, 1.1), [1.000349, 0.993842, 1.005809], [0.822789, -0.045019, 2.212779]),
    ):
        found = update(method, scaled(three_rows, factors))
        assert method.weights.tolist() == pytest.approx(weights, abs=2e-6)
        assert found.tolist() == pytest.approx(direction, abs=4e-6)


def test_scaling_all_gradients_alike_leaves_the_weights(update, three_rows):
    method = ExcessRisk(NAMES, step_size=1.0)
    for factor in (1.0, 0.7, 0.1):
        update(method, scaled(three_rows, [factor] * 3))
    assert method.weights.tolist() == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)


def test_no_weight_falls_below_its_floor():
    method = ExcessRisk(NAMES, step_size=50.0)
    for scale in (1.0, 5.0, 9.0):
        method(torch.tensor([[1.0], [1.0], [scale]]), torch.ones(3), ALL)
    assert method.weights.min().item() == pytest.approx(1e-3, rel=0.01)
    assert method.weights.sum().item() == pytest.approx(3.0)


def test_absent_tasks_keep_their_state_and_the_others_their_sum(three_rows):
    method = ExcessRisk(NAMES, step_size=1.0)
    rows = torch.tensor(three_rows)
    method(rows, torch.ones(3), ALL)
    tracked = method.tracked.clone()
    method(rows[[0, 2]] * torch.tensor([[0.5], [2.0]]), torch.ones(2), [0, 2])
    assert method.weights[1] == 1.0
    assert method.weights.sum().item() == pytest.approx(3.0)
    assert method.weights[2] > 1.0
    assert torch.equal(method.tracked[1], tracked[1])


def test_a_task_seen_later_starts_from_its_own_first_step(three_rows):
    method = ExcessRisk(NAMES, step_size=1.0)
    rows = torch.tensor(three_rows)
    method(rows[:2], torch.ones(2), [0, 1])
    method(rows, torch.ones(3), ALL)
    assert method.first.tolist() == pytest.approx([1.0, 1.5, 2.6], abs=1e-5)


def test_negative_step_size_is_refused():
    with pytest.raises(InputError, match="step_size must not be negative, not -1"):
        ExcessRisk(NAMES, step_size=-1)
