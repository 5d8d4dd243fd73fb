import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import multi_task_backward
from visual_taxonomy.task_weighting.methods.dual_balancing import DualBalancing

NAMES = ["c/a", "c/b", "c/d"]


def test_without_momentum_it_has_the_numbers_computed_by_hand(update, three_rows, three_losses):
    method = DualBalancing(NAMES, momentum=0.0)
    direction = update(method, three_rows, three_losses)
    assert direction.tolist() == pytest.approx([4.442917, 4.776767, 6.666666], abs=5e-6)
    assert method.tracked.numel() == 0


def test_weights_on_the_gradients_are_those_computed_by_hand(three_rows, three_losses):
    parameter = torch.zeros(3, requires_grad=True)
    values = torch.tensor(three_losses) + torch.tensor(three_rows) @ parameter
    losses = dict(zip(NAMES, values, strict=True))
    weights = multi_task_backward(losses, DualBalancing(NAMES, momentum=0.0), [parameter]).weights
    found = [weights[name].item() for name in NAMES]
    assert found == pytest.approx([6.831301, 6.110101, 3.333333], abs=5e-6)


def test_two_steps_with_momentum_have_the_numbers_computed_by_hand(
    update, three_rows, three_losses
):
    method = DualBalancing(NAMES)
    for direction in ([0.444292, 0.477677, 0.666667], [0.844154, 0.907586, 1.266667]):
        found = update(method, three_rows, three_losses)
        assert found.tolist() == pytest.approx(direction, abs=2e-6)


def test_bias_correction_makes_the_first_step_as_long_as_later_ones(
    update, three_rows, three_losses
):
    method = DualBalancing(NAMES, bias_correction=True)
    for _ in range(2):
        found = update(method, three_rows, three_losses)
        assert found.tolist() == pytest.approx([4.442917, 4.776767, 6.666666], abs=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_scale_of_a_loss_changes_nothing(momentum, update, three_rows, three_losses):
    expected = update(DualBalancing(NAMES, momentum=momentum), three_rows, three_losses)
    rows = [three_rows[0], [10 * entry for entry in three_rows[1]], three_rows[2]]
    losses = [three_losses[0], 10 * three_losses[1], three_losses[2]]
    found = update(DualBalancing(NAMES, momentum=momentum), rows, losses)
    torch.testing.assert_close(found, expected)


def test_heads_get_the_gradient_of_the_log_losses(two_rows):
    parameter, head = torch.zeros(2, requires_grad=True), torch.zeros((), requires_grad=True)
    first, second = torch.tensor(two_rows) @ parameter
    losses = {"c/a": 0.8 + first + head, "c/b": 1.5 + second}
    multi_task_backward(losses, DualBalancing(NAMES), [parameter])
    assert head.grad.item() == pytest.approx(1 / 0.8)


def test_a_tiny_loss_stays_finite(update, two_rows):
    direction = update(DualBalancing(NAMES, momentum=0.0), two_rows, [0.0, 1.0])
    assert torch.isfinite(direction).all()


def test_momentum_falls_with_the_steps_of_the_task():
    method = DualBalancing(NAMES, momentum=0.5, decay=1.0)
    for _ in range(2):
        method(torch.tensor([[1.0]]), torch.ones(1), [0])
    assert method.tracked[0].item() == pytest.approx(0.875)  # 0.5, then 0.25 * 0.5 + 0.75 * 1
    assert method.steps.tolist() == [2.0, 0.0, 0.0]


def test_values_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"momentum must be in \[0, 1\) and decay not negative"):
        DualBalancing(NAMES, momentum=1.0)
    with pytest.raises(InputError, match="bias_correction is for decay 0 only"):
        DualBalancing(NAMES, decay=0.5, bias_correction=True)
