import math

import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.nash import NashBargaining

NAMES = ["c/a", "c/b", "c/d"]


def weights_of(gramian):
    return NashBargaining(NAMES)(gramian, torch.ones(len(gramian)), range(len(gramian)))


def test_two_tasks_have_the_closed_form(gramian_of, update, two_rows):
    assert weights_of(gramian_of(two_rows)).tolist() == pytest.approx(
        [1.344997, 1.203002], abs=1e-6
    )
    free = update(NashBargaining(NAMES, max_norm=0), two_rows)
    assert free.tolist() == pytest.approx([0.743496, 1.203002], abs=2e-6)
    assert update(NashBargaining(NAMES), two_rows).tolist() == pytest.approx(
        [0.525731, 0.850651], abs=2e-6
    )


def test_three_tasks_have_the_numbers_computed_by_hand(gramian_of, update, three_rows):
    weights = weights_of(gramian_of(three_rows))
    assert weights.tolist() == pytest.approx([1.320005, 1.340342, 0.538694], abs=1e-6)
    free = update(NashBargaining(NAMES, max_norm=0), three_rows)
    assert free.tolist() == pytest.approx([0.757573, 1.124865, 1.077387], abs=2e-6)
    clipped = update(NashBargaining(NAMES), three_rows)
    assert clipped.tolist() == pytest.approx([0.437385, 0.649441, 0.62203], abs=2e-6)


def test_scale_of_a_loss_changes_its_weight_and_nothing_else(gramian_of, three_rows):
    rows = [three_rows[0], [100 * entry for entry in three_rows[1]], three_rows[2]]
    weights = weights_of(gramian_of(rows))
    assert weights.tolist() == pytest.approx([1.320005, 0.013403, 0.538694], abs=1e-6)


def test_gains_are_the_inverse_weights_and_the_squared_norm_is_the_number_of_tasks(gramian_of):
    gramian = gramian_of((torch.randn(8, 40) + 0.2 * torch.randn(40)).tolist())
    weights = weights_of(gramian)
    assert (weights * (gramian @ weights)).tolist() == pytest.approx([1.0] * 8, rel=1e-6)
    assert (weights @ gramian @ weights).item() == pytest.approx(8.0, rel=1e-6)


def test_one_task_gets_a_unit_direction(update):
    assert update(NashBargaining(NAMES), [[3.0, 4.0]]).tolist() == pytest.approx([0.6, 0.8])


def test_weights_are_bounded_where_tasks_are_opposed(gramian_of, update):
    rows = [[1.0, 0.0], [-1.0, 0.0]]
    assert weights_of(gramian_of(rows)).max().item() <= 1e3
    assert update(NashBargaining(NAMES), rows).norm().item() < 1e-3


def test_heads_get_the_weights_unclipped(two_rows):
    from visual_taxonomy.task_weighting import multi_task_backward

    parameter, head = torch.zeros(2, requires_grad=True), torch.zeros((), requires_grad=True)
    first, second = torch.tensor(two_rows) @ parameter
    losses = {"c/a": 1 + first + head, "c/b": 1 + second}
    multi_task_backward(losses, NashBargaining(NAMES), [parameter])
    assert head.grad.item() == pytest.approx(1.344997, abs=1e-5)
    assert parameter.grad.norm().item() == pytest.approx(1.0)


def test_length_is_the_square_root_of_the_number_of_tasks_without_a_limit(update, three_rows):
    direction = update(NashBargaining(NAMES, max_norm=0), three_rows)
    assert direction.norm().item() == pytest.approx(math.sqrt(3), rel=1e-5)


def test_negative_limit_is_refused():
    with pytest.raises(InputError, match="max_norm must not be negative, not -1"):
        NashBargaining(NAMES, max_norm=-1)
