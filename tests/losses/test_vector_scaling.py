import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.class_dependent_temperatures import ClassDependentTemperatures
from visual_taxonomy.losses.logit_adjustment import LogitAdjustment
from visual_taxonomy.losses.vector_scaling import VectorScaling


def test_tables_of_the_worked_counts(counts):
    loss = VectorScaling(counts)
    factors = torch.tensor([1, 0.501187, 0.259255])
    offsets = torch.tensor([-0.105361, -2.407946, -4.60517])
    assert_close(loss.factors, factors, rtol=0, atol=1e-5)
    assert_close(loss.offsets, offsets, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("index", "expected"), list(enumerate([0.018378, 4.627195, 1.02498, 4.60517]))
)
def test_entries_of_the_worked_batch(logits, target, counts, index, expected):
    one = slice(index, index + 1)
    loss = VectorScaling(counts)(logits[one], target[one])
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_means_over_the_worked_batch(logits, target, counts, class_weights):
    loss = VectorScaling(counts)
    assert loss(logits, target).item() == pytest.approx(2.568931, abs=1e-5)
    assert loss(logits, target, class_weights).item() == pytest.approx(4.402344, abs=1e-5)


def test_without_gamma_and_tau_is_cross_entropy(logits, target, counts):
    loss = VectorScaling(counts, gamma=0, tau=0)(logits, target)
    assert_close(loss, F.cross_entropy(logits, target))


def test_tau_alone_is_logit_adjustment(logits, target, counts):
    loss = VectorScaling(counts, gamma=0, tau=1.3)(logits, target)
    assert_close(loss, LogitAdjustment(counts, tau=1.3)(logits, target))


def test_gamma_alone_is_class_dependent_temperatures(logits, target, counts):
    loss = VectorScaling(counts, gamma=0.4, tau=0)(logits, target)
    assert_close(loss, ClassDependentTemperatures(counts, gamma=0.4)(logits, target))


def test_balanced_counts_give_cross_entropy(logits, target):
    loss = VectorScaling(torch.tensor([9, 9, 9]), gamma=0.7, tau=2.0)(logits, target)
    assert_close(loss, F.cross_entropy(logits, target))


def test_constant_added_to_the_offsets_changes_nothing(logits, target, counts):
    loss = VectorScaling(counts)
    before = loss(logits, target)
    loss.offsets += 5
    assert_close(loss(logits, target), before)
