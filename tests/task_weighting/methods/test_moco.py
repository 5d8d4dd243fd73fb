import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.moco import CorrectedMultiObjective

NAMES = ["c/a", "c/b", "c/d"]
PUBLISHED = {"beta": 0.5, "beta_decay": 0.5, "gamma": 0.1, "gamma_decay": 0.5}


@pytest.mark.parametrize(
    ("variant", "steps"),
    [
        (
            {},
            [
                ([0.340972, 0.344722, 0.314306], [0.115736, 0.1095, 0.314306]),
                ([0.350216, 0.358118, 0.291666], [0.155313, 0.163409, 0.394785]),
            ],
        ),
        (
            {"projection": "softmax", "grad_norm": "loss"},
            [
                ([0.334604, 0.33048, 0.334916], [0.027898, 0.211887, 0.049027]),
                (None, [0.038971, 0.285197, 0.066553]),
            ],
        ),
    ],
)
def test_two_steps_have_the_numbers_computed_by_hand(
    variant, steps, update, three_rows, three_losses
):
    method = CorrectedMultiObjective(NAMES, **PUBLISHED, **variant)
    for weights, direction in steps:
        found = update(method, three_rows, three_losses)
        assert found.tolist() == pytest.approx(direction, abs=2e-6)
        assert weights is None or method.weights.tolist() == pytest.approx(weights, abs=2e-6)


def test_full_beta_and_no_gamma_is_the_mean_gradient(update, three_rows):
    method = CorrectedMultiObjective(NAMES, beta=1.0, gamma=0.0)
    assert update(method, three_rows).tolist() == pytest.approx([0.7 / 3, 0.2, 2 / 3])


def test_weights_of_constant_gradients_tend_to_the_shortest_combination(update, two_rows):
    method = CorrectedMultiObjective(NAMES[:2], beta=1.0, gamma=0.05)
    for _ in range(200):
        direction = update(method, two_rows)
    assert method.weights.tolist() == pytest.approx([0.538462, 0.461538], abs=1e-4)
    assert direction.tolist() == pytest.approx([0.307692, 0.461538], abs=1e-4)


def test_a_large_ridge_keeps_weights_together(update, two_rows):
    method = CorrectedMultiObjective(NAMES[:2], beta=1.0, gamma=0.05, ridge=15.0)
    for _ in range(200):
        update(method, two_rows)
    assert method.weights.tolist() == pytest.approx([0.5, 0.5], abs=0.01)


def test_absent_tasks_keep_their_state_and_the_others_their_sum(three_rows):
    method = CorrectedMultiObjective(NAMES)
    method(torch.tensor(three_rows), torch.ones(3), [0, 1, 2])
    before = {
        name: value.clone() for name, value in method.state_dict().items() if name != "_extra_state"
    }
    step = method(torch.tensor(three_rows)[[0, 2]], torch.ones(2), [0, 2])
    assert step.weights.sum().item() == pytest.approx(1.0)
    for name, value in before.items():
        assert torch.equal(method.state_dict()[name][1], value[1])
        assert not torch.equal(method.state_dict()[name][0], value[0])
    assert method.weights.sum().item() == pytest.approx(1.0)


def test_tracked_gradients_can_be_kept_in_bfloat16(update, two_rows):
    method = CorrectedMultiObjective(NAMES[:2], tracked_dtype="bfloat16")
    direction = update(method, two_rows)
    assert method.tracked.dtype == torch.bfloat16
    expected = update(CorrectedMultiObjective(NAMES[:2]), two_rows)
    torch.testing.assert_close(direction, expected, atol=0.01, rtol=0.01)


def test_another_number_of_parameters_is_refused(two_rows):
    method = CorrectedMultiObjective(NAMES)
    method(torch.tensor(two_rows), torch.ones(2), [0, 1])
    with pytest.raises(InputError, match="tracks 2 values per task, this step has 3"):
        method(torch.ones(2, 3), torch.ones(2), [0, 1])


def test_values_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"beta must be in \(0, 1\]"):
        CorrectedMultiObjective(NAMES, beta=0.0)
    with pytest.raises(InputError, match="the other numbers not negative"):
        CorrectedMultiObjective(NAMES, gamma=-1.0)
    with pytest.raises(InputError, match="projection 'none' is none of: simplex, softmax"):
        CorrectedMultiObjective(NAMES, projection="none")
    with pytest.raises(InputError, match="grad_norm 'l2' is none of: none, loss"):
        CorrectedMultiObjective(NAMES, grad_norm="l2")
    with pytest.raises(InputError, match="tracked_dtype 'float16' is none of: float32, bfloat16"):
        CorrectedMultiObjective(NAMES, tracked_dtype="float16")


def test_active_tasks_that_have_lost_all_weight_start_over() -> None:
    method = CorrectedMultiObjective(["c/a", "c/b", "c/c"])
    method.weights.copy_(torch.tensor([0.0, 0.0, 1.0]))
    direction, weights = method(torch.eye(2), torch.ones(2), [0, 1])
    torch.testing.assert_close(weights, torch.tensor([0.5, 0.5], dtype=weights.dtype))
    assert torch.isfinite(direction).all()
    assert method.weights.tolist() == pytest.approx([1 / 3, 1 / 3, 1.0])
