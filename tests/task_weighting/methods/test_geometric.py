import pytest
import torch

from visual_taxonomy.task_weighting.methods.geometric import GeometricLoss

NAMES = ["c/a", "c/b", "c/d"]


def differentiate(losses):
    values = torch.tensor(losses, requires_grad=True)
    objective = GeometricLoss(["c"] + [str(i) for i in range(len(losses) - 1)])(
        values, range(len(losses))
    )
    objective.backward()
    return objective.item(), values.grad


def test_value_and_weights_are_those_computed_by_hand(three_losses):
    objective, weights = differentiate(three_losses)
    assert objective == pytest.approx(0.711379, abs=2e-6)
    assert weights.tolist() == pytest.approx([0.296408, 0.158084, 0.790421], abs=2e-6)


def test_direction_is_the_one_computed_by_hand(update, three_rows, three_losses):
    direction = update(GeometricLoss(NAMES), three_rows, three_losses)
    assert direction.tolist() == pytest.approx([0.37545, -0.158084, 1.580841], abs=2e-6)


def test_direction_turns_with_the_scale_of_no_loss(update, three_rows):
    direction = update(GeometricLoss(NAMES), three_rows, [1.0, 1.0, 1.0])
    scaled_rows = [three_rows[0], [7 * entry for entry in three_rows[1]], three_rows[2]]
    scaled = update(GeometricLoss(NAMES), scaled_rows, [1.0, 7.0, 1.0])
    torch.testing.assert_close(scaled / scaled.norm(), direction / direction.norm())


@pytest.mark.parametrize("loss", [1e-5, 2e4])
def test_ten_tiny_or_huge_losses_neither_underflow_nor_overflow(loss):
    objective, weights = differentiate([loss] * 10)
    assert objective == pytest.approx(loss, rel=1e-5)
    assert weights.tolist() == pytest.approx([0.1] * 10, rel=1e-5)


def test_a_loss_of_zero_leaves_the_gradient_finite():
    _, weights = differentiate([0.5, 0.0])
    assert torch.isfinite(weights).all()
    assert weights[1] == 0


def test_agrees_with_torchjd(three_losses):
    from torchjd.scalarization import GeometricMean

    losses = torch.tensor(three_losses)
    torch.testing.assert_close(GeometricLoss(NAMES)(losses, [0, 1, 2]), GeometricMean()(losses))
