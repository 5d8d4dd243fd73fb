import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import build_task_weighting
from visual_taxonomy.task_weighting.methods.two_batches import TwoBatchCombination

NAMES = ["c/a", "c/b", "c/d"]
ONES = torch.ones(3)


class Spy(TwoBatchCombination):
    """Notes what it is given and halves the first weight."""

    def move(self, products, weights):
        self.products = products
        moved = weights.clone()
        moved[0] /= 2
        return moved / moved.sum()


def test_products_are_of_the_step_before_with_this_one():
    first, second = torch.randn(2, 3, 7)
    spy = Spy(NAMES)
    spy(first, ONES, [0, 1, 2])
    spy(second.clone(), ONES, [0, 1, 2])
    expected = first.double().numpy() @ second.double().numpy().T
    torch.testing.assert_close(spy.products, torch.from_numpy(expected), atol=1e-5, rtol=1e-5)


def test_products_are_of_each_task_s_own_step_before():
    steps = torch.randn(3, 3, 7)
    spy = Spy(NAMES)
    spy(steps[0], ONES, [0, 1, 2])
    spy(steps[1][:2], ONES[:2], [0, 2])
    spy(steps[2], ONES, [2, 1, 0])
    before = torch.stack([steps[1][1], steps[0][1], steps[1][0]])
    torch.testing.assert_close(
        spy.products, before.double() @ steps[2].double().T, atol=1e-5, rtol=1e-5
    )


def test_a_step_takes_the_weights_of_before_and_the_next_those_it_finds():
    spy = Spy(NAMES)
    rows = torch.eye(3)
    found = [spy(rows, ONES, [0, 1, 2]).direction.tolist() for _ in range(4)]
    thirds = pytest.approx([1 / 3] * 3)
    assert found == [
        thirds,
        thirds,
        pytest.approx([0.2, 0.4, 0.4]),
        pytest.approx([1 / 9, 4 / 9, 4 / 9]),
    ]


def test_weights_stay_while_an_active_task_has_no_step_before():
    spy = Spy(NAMES)
    for _ in range(2):
        spy(torch.eye(3)[:2], ONES[:2], [0, 1])
    weights = spy.weights.clone()
    spy(torch.eye(3), ONES, [0, 1, 2])
    assert spy.weights.tolist() == pytest.approx(weights.tolist())
    spy(torch.eye(3), ONES, [0, 1, 2])
    assert spy.weights[0].item() < weights[0].item()


def test_absent_tasks_keep_their_state_and_the_others_their_sum():
    spy = Spy(NAMES)
    for _ in range(2):
        spy(torch.randn(3, 4), ONES, [0, 1, 2])
    before = {k: v[1].clone() for k, v in spy.state_dict().items() if k != "_extra_state"}
    spy(torch.randn(2, 4), ONES[:2], [0, 2])
    for name, value in before.items():
        assert torch.equal(spy.state_dict()[name][1], value)
    assert spy.weights.sum().item() == pytest.approx(1.0)


def test_active_tasks_that_have_lost_all_weight_start_over():
    spy = Spy(NAMES)
    spy.weights.copy_(torch.tensor([0.0, 0.0, 1.0]))
    assert spy(torch.eye(2), ONES[:2], [0, 1]).weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["SDMGrad", "MoDo"])
def test_with_one_batch_nothing_is_tracked(name):
    method = build_task_weighting(name, NAMES, batches="one")
    method(torch.randn(3, 4), ONES, [0, 1, 2])
    assert method.tracked.numel() == 0
    assert method.weights.tolist() != [1 / 3] * 3


def test_gradients_can_be_kept_in_bfloat16():
    full, half = (
        build_task_weighting("MoDo", NAMES, tracked_dtype=dtype, gamma=0.01)
        for dtype in ("float32", "bfloat16")
    )
    for rows in torch.randn(3, 3, 50):
        full(rows.clone(), ONES, [0, 1, 2])
        half(rows.clone(), ONES, [0, 1, 2])
    assert half.tracked.dtype == torch.bfloat16
    torch.testing.assert_close(half.weights, full.weights, atol=0.02, rtol=0.02)


def test_unknown_choice_is_refused():
    with pytest.raises(InputError, match="batches 'three' is none of: two, one"):
        Spy(NAMES, batches="three")
