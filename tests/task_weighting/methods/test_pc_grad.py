import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.pc_grad import (
    ProjectConflictingGradients,
    projected_weights,
)

NAMES = ["c/a", "c/b", "c/d"]
ASCENDING = torch.tensor([[1, 2], [0, 2], [0, 1]])


def test_two_tasks_have_the_numbers_computed_by_hand(update, two_rows):
    direction = update(ProjectConflictingGradients(NAMES), two_rows)
    assert direction.tolist() == pytest.approx([0.8, 1.4])


def test_mean_is_the_sum_over_the_number_of_tasks(update, two_rows):
    direction = update(ProjectConflictingGradients(NAMES, reduction="mean"), two_rows)
    assert direction.tolist() == pytest.approx([0.4, 0.7])


@pytest.mark.parametrize(
    ("orders", "weights"),
    [
        (ASCENDING, [1.5, 1.8, 1.095238]),
        (ASCENDING.flip(1), [1.47619, 1.8, 1.119048]),
    ],
)
def test_three_tasks_have_the_numbers_of_each_order(orders, weights, gramian_of, three_rows):
    found = projected_weights(gramian_of(three_rows), orders)
    assert found.tolist() == pytest.approx(weights, abs=1e-6)


def test_without_conflict_it_is_the_sum(gramian_of):
    gramian = gramian_of([[1.0, 0.0], [0.5, 1.0]])
    assert projected_weights(gramian, torch.tensor([[1], [0]])).tolist() == [1.0, 1.0]


def test_opposite_gradients_vanish(update):
    direction = update(ProjectConflictingGradients(NAMES), [[1.0, 2.0], [-2.0, -4.0]])
    assert direction.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_coefficients_repeat_the_loop_over_gradients():
    jacobian = torch.randn(6, 4, dtype=torch.float64)
    orders = torch.stack([torch.tensor([j for j in range(6) if j != i]) for i in range(6)])
    expected = torch.zeros(4, dtype=torch.float64)
    for i in range(6):
        gradient = jacobian[i].clone()
        for j in orders[i].tolist():
            inner = gradient @ jacobian[j]
            if inner < 0:
                gradient -= inner / (jacobian[j] @ jacobian[j]) * jacobian[j]
        expected += gradient
    weights = projected_weights(jacobian @ jacobian.T, orders)
    torch.testing.assert_close(weights @ jacobian, expected)


def test_order_of_the_tasks_does_not_matter_if_the_meetings_are_the_same(gramian_of, three_rows):
    gramian = gramian_of(three_rows)
    turned = projected_weights(gramian.flip(0, 1), (2 - ASCENDING).flip(0))
    torch.testing.assert_close(turned.flip(0), projected_weights(gramian, ASCENDING))


def test_orders_come_from_the_generator(gramian_of, three_rows):
    gramian, losses = gramian_of(three_rows), torch.ones(3)
    method = ProjectConflictingGradients(NAMES)

    def draw(seed):
        return method(gramian, losses, [0, 1, 2], torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert len({tuple(draw(seed).tolist()) for seed in range(9)}) > 1


def test_agrees_with_torchjd_for_two_tasks(gramian_of, two_rows):
    from torchjd.aggregation import PCGradWeighting

    gramian = gramian_of(two_rows)
    found = ProjectConflictingGradients(NAMES)(gramian, torch.ones(2), [0, 1])
    torch.testing.assert_close(found, PCGradWeighting()(gramian))


def test_unknown_reduction_is_refused():
    with pytest.raises(InputError, match="reduction 'max' is none of: sum, mean"):
        ProjectConflictingGradients(NAMES, reduction="max")
