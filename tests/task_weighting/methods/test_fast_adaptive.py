import pytest
import torch
from torchjd.scalarization import FAMO

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.fast_adaptive import FastAdaptiveOptimization

NAMES = ["c/a", "c/b", "c/d"]


def weights_of(method, losses, tasks=(0, 1, 2)):
    values = torch.tensor(losses, requires_grad=True)
    method(values, list(tasks)).backward()
    return values.grad


def state(method, task):
    return {k: v[task].item() for k, v in method.state_dict().items() if k != "_extra_state"}


def test_first_weights_are_the_inverse_losses_to_the_sum_one(three_losses):
    weights = weights_of(FastAdaptiveOptimization(NAMES), three_losses)
    assert weights.tolist() == pytest.approx([0.238095, 0.126984, 0.634921], abs=1e-6)


def test_first_step_moves_each_logit_by_the_learning_rate_against_its_relative_fall():
    method = FastAdaptiveOptimization(NAMES, learning_rate=0.1)
    weights_of(method, [0.8, 1.5, 0.3])
    method.update(torch.tensor([0.7, 1.0, 0.29]), [0, 1, 2])
    # logs fall by 0.134, 0.405, 0.034, mean 0.191: Adam's first step has the length of its rate
    assert method.logits.tolist() == pytest.approx([0.1, -0.1, 0.1], abs=1e-5)


@pytest.mark.parametrize("reevaluated", [True, False])
@pytest.mark.parametrize("weight_decay", [1e-3, 0.5])
def test_weights_are_those_of_torchjd(reevaluated, weight_decay):
    ours = FastAdaptiveOptimization(NAMES, weight_decay=weight_decay)
    theirs = FAMO(3, weight_decay=weight_decay)
    batches = torch.rand(30, 2, 3) + 0.1
    for step, (before, after) in enumerate(batches):
        values = before.clone().requires_grad_()
        theirs(values).backward()
        torch.testing.assert_close(weights_of(ours, before.tolist()), values.grad)
        if reevaluated:
            ours.update(after, [0, 1, 2])
            theirs.update(after)
        elif step < 29:  # without a call of `update` it is the next step that counts
            theirs.update(batches[step + 1, 0])


def test_factor_on_all_losses_changes_nothing(three_losses):
    one, two = FastAdaptiveOptimization(NAMES), FastAdaptiveOptimization(NAMES)
    for factor in (1.0, 8.0, 64.0):  # a gradient scaler raises its factor between steps
        small = weights_of(one, three_losses)
        large = weights_of(two, [factor * loss for loss in three_losses])
        torch.testing.assert_close(large, small)
        assert large.sum().item() == pytest.approx(1.0)


def test_absent_tasks_keep_logit_moments_and_last_loss():
    method = FastAdaptiveOptimization(NAMES)
    weights_of(method, [0.8, 1.5, 0.3])
    weights_of(method, [0.9, 1.2, 0.3])
    before = state(method, 1)
    weights_of(method, [0.5, 0.2], tasks=(0, 2))
    assert state(method, 1) == before
    assert method.steps.tolist() == [2, 1, 2]
    weights_of(method, [0.5, 1.1, 0.2])  # back again: compared with its own last loss
    assert method.steps.tolist() == [3, 2, 3]


def test_a_task_alone_has_weight_one_and_moves_nothing():
    method = FastAdaptiveOptimization(NAMES)
    weights_of(method, [0.8, 1.5, 0.3])
    weights_of(method, [0.9, 1.2, 0.3])
    logits = method.logits.clone()
    for _ in range(2):
        assert weights_of(method, [0.1], tasks=(2,)).tolist() == pytest.approx([1.0])
    assert torch.equal(method.logits, logits)


def test_each_step_counts_once(three_losses):
    method = FastAdaptiveOptimization(NAMES)
    weights_of(method, three_losses)
    method.update(torch.tensor([0.7, 1.0, 0.29]), [0, 1, 2])
    logits = method.logits.clone()
    method.update(torch.tensor([0.1, 1.0, 0.29]), [0, 1, 2])
    weights_of(method, three_losses)
    assert torch.equal(method.logits, logits)


def test_negative_arguments_are_refused():
    with pytest.raises(InputError, match="must not be negative, not -1 and 0"):
        FastAdaptiveOptimization(NAMES, learning_rate=-1, weight_decay=0)
