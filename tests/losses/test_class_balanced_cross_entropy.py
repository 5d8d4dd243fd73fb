import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.class_balanced_cross_entropy import ClassBalancedCrossEntropy


@pytest.mark.parametrize(
    ("beta", "expected"), [(0.999, 1.424366), (0.9999, 1.425305), (0.0, 0.652059)]
)
def test_mean_over_the_worked_batch(logits, target, counts, beta, expected):
    loss = ClassBalancedCrossEntropy(counts, beta=beta)(logits, target)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_soft_targets_equal_torch(logits, counts):
    soft = torch.softmax(torch.randn(4, 3), dim=1)
    loss = ClassBalancedCrossEntropy(counts)
    expected = F.cross_entropy(logits, soft, loss.balanced_weights)
    assert_close(loss(logits, soft), expected)


def test_beta_one_is_inverse_frequency(logits, target, counts, inverse_frequency):
    losses = F.cross_entropy(logits, target, inverse_frequency, reduction="none")
    loss = ClassBalancedCrossEntropy(counts, beta=1.0)(logits, target)
    assert_close(loss, losses.mean(), rtol=0, atol=1e-5)


def test_balanced_counts_give_cross_entropy(logits, target):
    loss = ClassBalancedCrossEntropy(torch.tensor([7, 7, 7]))(logits, target)
    assert_close(loss, F.cross_entropy(logits, target))


def test_weights_of_a_schedule_multiply(logits, target, counts, class_weights):
    loss = ClassBalancedCrossEntropy(counts, beta=0.999)
    product = class_weights * loss.balanced_weights
    expected = F.cross_entropy(logits, target, product, reduction="none").mean()
    assert_close(loss(logits, target, class_weights), expected)
