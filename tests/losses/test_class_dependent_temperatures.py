import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.class_dependent_temperatures import ClassDependentTemperatures


def test_mean_over_the_worked_batch(logits, target, counts):
    loss = ClassDependentTemperatures(counts)(logits, target)
    assert loss.item() == pytest.approx(0.738861, abs=1e-5)


@pytest.mark.parametrize(
    ("index", "expected"), list(enumerate([0.245535, 1.113562, 0.497735, 1.098612]))
)
def test_entries_of_the_worked_batch(logits, target, counts, index, expected):
    one = slice(index, index + 1)
    loss = ClassDependentTemperatures(counts)(logits[one], target[one])
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_absent_class_has_a_finite_factor():
    factors = ClassDependentTemperatures(torch.tensor([10, 0, 5])).factors
    assert_close(factors, torch.tensor([1, 0.501187, 0.812252]), rtol=0, atol=1e-5)


def test_without_gamma_is_cross_entropy(logits, target, counts):
    loss = ClassDependentTemperatures(counts, gamma=0)(logits, target)
    assert_close(loss, F.cross_entropy(logits, target))
