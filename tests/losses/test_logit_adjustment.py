import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.logit_adjustment import LogitAdjustment


def test_mean_over_the_worked_batch(logits, target, counts):
    loss = LogitAdjustment(counts)(logits, target)
    assert loss.item() == pytest.approx(2.414347, abs=1e-5)


@pytest.mark.parametrize(
    ("index", "expected"), list(enumerate([0.022609, 4.416782, 0.612827, 4.60517]))
)
def test_entries_of_the_worked_batch(logits, target, counts, index, expected):
    one = slice(index, index + 1)
    loss = LogitAdjustment(counts)(logits[one], target[one])
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_absent_class_has_a_finite_offset():
    offsets = LogitAdjustment(torch.tensor([10, 0, 5])).offsets
    expected = torch.tensor([-0.470004, -2.772589, -1.163151])
    assert_close(offsets, expected, rtol=0, atol=1e-5)


def test_without_tau_is_cross_entropy(logits, target, counts):
    loss = LogitAdjustment(counts, tau=0)(logits, target)
    assert_close(loss, F.cross_entropy(logits, target))


def test_balanced_counts_give_cross_entropy(logits, target):
    loss = LogitAdjustment(torch.tensor([4, 4, 4]))(logits, target)
    assert_close(loss, F.cross_entropy(logits, target))


def test_best_constant_logits_are_equal_for_the_training_frequencies(counts):
    # without features the balanced posterior is uniform, so raw logits of 0 are a minimum
    logits = torch.zeros(100, 3, requires_grad=True)
    target = torch.repeat_interleave(torch.arange(3), counts)
    LogitAdjustment(counts)(logits, target).backward()
    assert_close(logits.grad.sum(0), torch.zeros(3), rtol=0, atol=1e-6)
