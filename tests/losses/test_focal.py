import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.focal import Focal, doubt, focused


@pytest.mark.parametrize(("gamma", "expected"), [(1.0, 0.370125), (2.0, 0.228797)])
def test_mean_over_the_worked_batch(logits, target, counts, gamma, expected):
    loss = Focal(counts, gamma=gamma)(logits, target)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_entries_of_the_worked_batch(logits, target):
    losses = focused(F.cross_entropy(logits, target, reduction="none"), gamma=1.0)
    expected = torch.tensor([0.051738, 0.634064, 0.062288, 0.732408])
    assert_close(losses, expected, rtol=0, atol=1e-5)


def test_class_weights_do_not_enter_the_modulation(logits, target, counts, class_weights):
    loss = Focal(counts, gamma=2)(logits, target, class_weights)
    assert loss.item() == pytest.approx(0.595157, abs=1e-5)


def test_original_was_26_times_too_large():
    loss = Focal(torch.tensor([1, 1]), gamma=1)
    value = loss(torch.tensor([[2.0, 0]]), torch.tensor([0]), torch.tensor([3.0, 1]))
    probability = torch.sigmoid(torch.tensor(2.0))
    original = 10 * (1 - probability**3) * 3 * -probability.log()
    assert value.item() == pytest.approx(0.045391, abs=1e-5)
    assert (original / value).item() == pytest.approx(26.6, abs=0.05)


def test_gradient_of_the_first_worked_entry(logits, target, counts):
    logits.requires_grad_()
    Focal(counts, gamma=2)(logits[:1], target[:1]).backward()
    expected = torch.tensor([-0.027285, 0.022307, 0.004977])
    assert_close(logits.grad[0], expected, rtol=0, atol=1e-5)


def test_uniform_prediction_over_three_classes(counts):
    loss = Focal(counts, gamma=2)(torch.zeros(1, 3), torch.tensor([0]))
    assert loss.item() == pytest.approx(0.488272, abs=1e-5)


def test_without_focus_is_cross_entropy(logits, target, counts):
    assert_close(Focal(counts, gamma=0)(logits, target), F.cross_entropy(logits, target))


def test_falls_with_gamma(logits, target, counts):
    values = [Focal(counts, gamma=gamma)(logits, target) for gamma in (0, 0.5, 1, 2, 5)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_gradient_of_a_certain_prediction_is_finite(gamma):
    logits = torch.tensor([[40.0, 0], [0, 40.0], [17.0, 0]], requires_grad=True)
    Focal(torch.tensor([1, 1]), gamma=gamma)(logits, torch.tensor([0, 0, 0])).backward()
    assert logits.grad.isfinite().all()


def test_doubt_keeps_its_digits_near_certainty():
    assert doubt(torch.tensor(1e-9)).item() == pytest.approx(1e-9, rel=1e-6)
