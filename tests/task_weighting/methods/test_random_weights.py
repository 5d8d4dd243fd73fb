import pytest
import torch

from visual_taxonomy.task_weighting.methods.random_weights import RandomLossWeighting

NAMES = ["c/a", "c/b", "c/d"]


def weights_of(losses, generator=None):
    values = losses.clone().requires_grad_()
    RandomLossWeighting(NAMES)(values, range(len(losses)), generator).backward()
    return values.grad


def test_weights_are_the_softmax_of_the_drawn_numbers(monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda *_, **__: torch.tensor([0.5, -1.0, 0.25]))
    weights = weights_of(torch.ones(3))
    assert weights.tolist() == pytest.approx([0.499518, 0.111457, 0.389025], abs=2e-6)


def test_weights_sum_to_one_and_repeat_with_the_generator():
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    first, second = (weights_of(torch.ones(3), generator) for _ in range(2))
    assert first.sum().item() == pytest.approx(1.0)
    assert not torch.equal(first, second)
    generator.set_state(state)
    assert torch.equal(weights_of(torch.ones(3), generator), first)


def test_mean_of_many_draws_is_equal_weighting():
    generator = torch.Generator().manual_seed(0)
    mean = torch.stack([weights_of(torch.ones(3), generator) for _ in range(2000)]).mean(0)
    assert mean.tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
