import pytest
import torch

from visual_taxonomy.task_weighting.methods.impartial import (
    ImpartialLearning,
    equal_projection_weights,
)

NAMES = ["c/a", "c/b", "c/d"]
TURNED = [[1.1, 2.4, -0.8, -0.9], [0.5, 0.1, -1.0, 1.8], [0.2, 0.3, -0.7, 0.7]]


def projections(rows, direction):
    jacobian = torch.tensor(rows)
    return (jacobian @ direction / jacobian.norm(dim=1)).tolist()


def test_two_tasks_have_the_closed_form(gramian_of, update, two_rows):
    weights = equal_projection_weights(gramian_of(two_rows))
    assert weights.tolist() == pytest.approx([0.527864, 0.472136], abs=2e-6)
    direction = update(ImpartialLearning(NAMES), two_rows)
    assert direction.tolist() == pytest.approx([0.291796, 0.472136], abs=2e-6)


def test_three_tasks_have_equal_projections(gramian_of, update, three_rows):
    weights = equal_projection_weights(gramian_of(three_rows))
    assert weights.tolist() == pytest.approx([0.420617, 0.43426, 0.145122], abs=2e-6)
    direction = update(ImpartialLearning(NAMES), three_rows)
    assert direction.tolist() == pytest.approx([0.232512, 0.376212, 0.290245], abs=2e-6)
    assert projections(three_rows, direction) == pytest.approx([0.232512] * 3, abs=2e-6)


def test_learned_scales_have_the_numbers_computed_by_hand(update, three_rows, three_losses):
    method = ImpartialLearning(NAMES)
    for log_scale, value in zip(method.log_scales, (0.1, -0.2, 0.3), strict=True):
        log_scale.data.fill_(value)
    values = torch.tensor(three_losses)
    assert method.transform(values, [0, 1, 2]).sum().item() == pytest.approx(2.317191, abs=2e-6)
    direction = update(method, three_rows, three_losses)
    assert direction.tolist() == pytest.approx([0.228287, 0.369376, 0.284971], abs=2e-6)
    slopes = [log_scale.grad.item() for log_scale in method.log_scales]
    assert slopes == pytest.approx([-0.115863, 0.228096, -0.595042], abs=2e-6)


def test_slope_of_the_scales_is_zero_at_minus_the_log_loss(update, three_rows, three_losses):
    method = ImpartialLearning(NAMES)
    optimum = (0.223144, -0.405465, 1.203973)
    for log_scale, value in zip(method.log_scales, optimum, strict=True):
        log_scale.data.fill_(value)
    update(method, three_rows, three_losses)
    slopes = [log_scale.grad.item() for log_scale in method.log_scales]
    assert slopes == pytest.approx([0.0] * 3, abs=2e-6)


def test_scale_of_an_absent_task_gets_no_gradient(update, two_rows):
    method = ImpartialLearning(NAMES)
    update(method, two_rows)
    assert method.log_scales[2].grad is None


def test_direction_improves_all_tasks_where_the_published_sum_is_negative(gramian_of):
    gramian = gramian_of(TURNED)
    direction = equal_projection_weights(gramian).float() @ torch.tensor(TURNED)
    expected = torch.tensor([1.374675, 0.87071, 0.020512, 0.75968])
    torch.testing.assert_close(
        direction / direction.norm(), expected / expected.norm(), atol=1e-4, rtol=0
    )
    assert min(projections(TURNED, direction)) > 0


def test_opposite_gradients_vanish_and_equal_ones_stay(update):
    method = ImpartialLearning(NAMES)
    assert update(method, [[1.0, 0.0], [-3.0, 0.0]]).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert update(method, [[1.0, 2.0], [1.0, 2.0]]).tolist() == pytest.approx([1.0, 2.0])


def test_scale_of_a_loss_does_not_turn_the_direction(gramian_of, three_rows):
    jacobian = torch.tensor(three_rows, dtype=torch.float64)
    direction = equal_projection_weights(jacobian @ jacobian.T) @ jacobian
    jacobian[1] *= 1e4
    scaled = equal_projection_weights(jacobian @ jacobian.T) @ jacobian
    torch.testing.assert_close(scaled / scaled.norm(), direction / direction.norm())


def test_agrees_with_torchjd(gramian_of, three_rows):
    from torchjd.aggregation import IMTLGWeighting
    from torchjd.scalarization import IMTLL

    gramian = gramian_of(three_rows)
    expected = IMTLGWeighting()(gramian)
    torch.testing.assert_close(equal_projection_weights(gramian), expected, atol=1e-5, rtol=0)
    losses = torch.tensor([0.8, 1.5, 0.3])
    transformed = ImpartialLearning(NAMES).transform(losses, [0, 1, 2]).sum()
    torch.testing.assert_close(transformed, IMTLL(3)(losses))
