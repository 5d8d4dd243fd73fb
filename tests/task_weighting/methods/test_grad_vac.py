import math

import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.grad_vac import GradientVaccine, vaccinated_weights
from visual_taxonomy.task_weighting.methods.pc_grad import projected_weights

NAMES = ["c/a", "c/b", "c/d"]
ASCENDING = torch.tensor([[1, 2], [0, 2], [0, 1]])


@pytest.mark.parametrize(
    ("decay", "directions"),
    [
        (0.5, [(0.8, 1.4), (0.662351, 1.216467), (0.586379, 1.115172)]),
        (0.01, [(0.8, 1.4), (0.797317, 1.396422), (0.79466, 1.39288)]),
    ],
)
def test_three_steps_have_the_numbers_computed_by_hand(decay, directions, update, two_rows):
    method = GradientVaccine(NAMES[:2], decay=decay)
    for direction in directions:
        assert update(method, two_rows).tolist() == pytest.approx(direction, abs=2e-6)


def test_target_is_the_moving_average_of_the_cosines(update, two_rows):
    method = GradientVaccine(NAMES[:2], decay=0.5)
    for target in (-0.223607, -0.33541):
        update(method, two_rows)
        assert method.targets[0, 1].item() == pytest.approx(target, abs=2e-6)


def test_a_preset_target_is_reached_exactly(update, two_rows):
    method = GradientVaccine(NAMES[:2])
    method.targets.fill_(0.3)
    direction = update(method, two_rows)
    assert direction.tolist() == pytest.approx([0.988691, 1.651588], abs=2e-6)


def test_altered_gradient_has_the_target_cosine():
    jacobian = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
    gramian = jacobian @ jacobian.T
    targets = torch.tensor([[0.0, 0.3], [-1.0, 0.0]], dtype=torch.float64)  # only row 0 moves
    weights, _ = vaccinated_weights(gramian, torch.tensor([[1], [0]]), targets, 0.5)
    altered = jacobian[0] + (weights[1] - 1) * jacobian[1]
    cosine = altered @ jacobian[1] / (altered.norm() * jacobian[1].norm())
    assert cosine.item() == pytest.approx(0.3)
    assert weights[0].item() == 1.0


def test_three_tasks_in_ascending_order_have_the_numbers_computed_by_hand(gramian_of, three_rows):
    gramian = gramian_of(three_rows)
    first, targets = vaccinated_weights(gramian, ASCENDING, torch.zeros_like(gramian), 0.5)
    torch.testing.assert_close(first, projected_weights(gramian, ASCENDING))
    expected = [[0, -0.223607, 0], [-0.223607, 0, -0.09759], [0.048795, -0.109109, 0]]
    torch.testing.assert_close(targets, torch.tensor(expected).double(), atol=1e-6, rtol=0)
    second, _ = vaccinated_weights(gramian, ASCENDING, targets, 0.5)
    direction = second @ torch.tensor(three_rows, dtype=torch.float64)
    assert direction.tolist() == pytest.approx([0.772164, 0.99684, 2.116377], abs=2e-6)


def test_targets_of_absent_pairs_stay(gramian_of, three_rows):
    method = GradientVaccine(NAMES, decay=0.5)
    method.targets.fill_(0.25)
    gramian = gramian_of(three_rows)[[0, 2]][:, [0, 2]]
    method(gramian, torch.ones(2), [0, 2])
    assert method.targets[1].tolist() == [0.25] * 3
    assert method.targets[:, 1].tolist() == [0.25] * 3
    assert method.targets[0, 2] != 0.25


def test_opposite_and_equal_gradients_stay_finite():
    gramian = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]).double()
    targets = torch.ones(3, 3, dtype=torch.float64)
    for _ in range(3):
        weights, targets = vaccinated_weights(gramian, ASCENDING, targets, 0.5)
        assert torch.isfinite(weights).all()
        assert torch.isfinite(targets).all()


def test_agrees_with_torchjd_over_three_steps(two_rows):
    from torchjd.aggregation import GradVac

    jacobian = torch.tensor(two_rows, dtype=torch.float64)
    reference, method = GradVac(beta=0.5), GradientVaccine(NAMES[:2], decay=0.5)
    for _ in range(3):
        weights = method(jacobian @ jacobian.T, torch.ones(2), [0, 1])
        torch.testing.assert_close(weights @ jacobian, reference(jacobian), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("decay", [-0.1, 1.1, math.nan])
def test_decay_is_between_zero_and_one(decay):
    with pytest.raises(InputError, match=r"decay must be in \[0, 1\]"):
        GradientVaccine(NAMES, decay=decay)
