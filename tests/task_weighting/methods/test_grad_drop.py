import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import multi_task_backward
from visual_taxonomy.task_weighting.methods.grad_drop import GradientSignDropout, sign_masks

NAMES = ["c/a", "c/b"]
GRADIENTS = torch.tensor(
    [[[0.4, -0.2, 0.1], [0.2, -0.1, -0.3]], [[-0.1, -0.3, 0.2], [-0.1, 0.2, 0.05]]]
)
FEATURES = torch.tensor([[1.0, -2.0, 0.5], [0.5, 1.0, 0.0]])
SUMS = torch.tensor([[0.6, 0.1, 0.1], [-0.2, 0.5, 0.2]])


def feature_gradient(leak, monkeypatch):
    """What arrives at parameters whose gradient is the feature gradient, with every draw 1/2."""
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.full((3,), 0.5))
    offset = torch.zeros(2, 3, requires_grad=True)
    features = FEATURES + offset
    losses = dict(zip(NAMES, (GRADIENTS * features).sum((1, 2)), strict=True))
    multi_task_backward(losses, GradientSignDropout(NAMES, leak=leak), [offset], features)
    return offset.grad


def test_sums_and_masks_are_those_computed_by_hand():
    torch.testing.assert_close((FEATURES.sign() * GRADIENTS).sum(1), SUMS)
    masks = sign_masks(SUMS, torch.full((3,), 0.5))
    assert masks.tolist() == [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]


def test_feature_gradient_is_the_one_computed_by_hand(monkeypatch):
    expected = torch.tensor([[0.4, -0.5, 0.3], [0.2, 0.1, -0.25]])
    torch.testing.assert_close(feature_gradient(0.0, monkeypatch), expected)


def test_a_leak_lets_its_share_through(monkeypatch):
    expected = torch.tensor([[0.38, -0.5, 0.3], [0.18, 0.1, -0.25]])
    torch.testing.assert_close(feature_gradient(0.2, monkeypatch), expected)


def test_full_leak_is_equal_weighting(monkeypatch):
    torch.testing.assert_close(feature_gradient(1.0, monkeypatch), GRADIENTS.sum(0))


def test_probability_of_plus_is_its_share():
    uniform = torch.linspace(0, 1, 1001)
    sums = torch.tensor([[0.6], [-0.2]]).expand(2, 1001)
    assert sign_masks(sums, uniform)[0].mean().item() == pytest.approx(0.75, abs=1e-3)


def test_what_has_no_sign_passes():
    assert sign_masks(torch.zeros(2, 1), torch.rand(1)).tolist() == [[1.0], [1.0]]


def test_a_single_task_passes_whole():
    sums = torch.tensor([[0.3, -0.2, 1e-6]])
    assert sign_masks(sums, torch.rand(3)).tolist() == [[1.0, 1.0, 1.0]]


def test_leak_is_between_zero_and_one():
    with pytest.raises(InputError, match=r"leak must be in \[0, 1\], not 2"):
        GradientSignDropout(NAMES, leak=2)
