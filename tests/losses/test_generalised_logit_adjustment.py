import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from visual_taxonomy.losses.generalised_logit_adjustment import GeneralisedLogitAdjustment
from visual_taxonomy.losses.logit_adjustment import LogitAdjustment


def learnt_tau(logits: Tensor, counts: Tensor) -> float:
    """Tau after training on the entries that the counts count, all with the same logits [C]."""
    loss = GeneralisedLogitAdjustment(counts, tau=0.5)
    target = torch.repeat_interleave(torch.arange(len(counts)), counts)
    optimizer = torch.optim.LBFGS(loss.parameters(), max_iter=50)

    def step() -> Tensor:
        optimizer.zero_grad()
        value = loss(logits.expand(len(target), -1), target)
        value.backward()
        return value

    optimizer.step(step)
    return loss.tau.item()


@pytest.mark.parametrize("learn_tau", [True, False])
def test_starts_as_logit_adjustment(logits, target, counts, class_weights, learn_tau):
    loss = GeneralisedLogitAdjustment(counts, tau=0.7, learn_tau=learn_tau)
    expected = LogitAdjustment(counts, tau=0.7)(logits, target, class_weights)
    assert_close(loss(logits, target, class_weights), expected)
    assert loss.tau.requires_grad == learn_tau


def test_learns_the_whole_prior_for_logits_that_ignore_it(counts):
    assert learnt_tau(torch.zeros(3), counts) == pytest.approx(1, abs=1e-3)


def test_learns_nothing_for_logits_that_contain_the_prior(counts):
    assert learnt_tau(torch.log(counts.float()), counts) == pytest.approx(0, abs=1e-3)
