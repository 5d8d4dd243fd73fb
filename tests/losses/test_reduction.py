import pytest
import torch
from torch.testing import assert_close

from visual_taxonomy.losses.reduction import (
    mean_cross_entropy,
    negative_log_likelihood,
    plain_mean,
    summed_cross_entropy,
    weighted_mean,
)


def test_weighted_and_plain_mean_differ_on_the_worked_batch(logits, target, class_weights):
    losses = negative_log_likelihood(logits, target)
    assert weighted_mean(losses, target, class_weights).item() == pytest.approx(1.004664, abs=1e-5)
    assert plain_mean(losses, target, class_weights).item() == pytest.approx(1.424366, abs=1e-5)


def test_batch_of_one_class_is_not_reweighted_by_the_weighted_mean(logits, class_weights):
    target = torch.tensor([2, 2, 2, 2])
    assert_close(
        mean_cross_entropy(logits, target, class_weights), mean_cross_entropy(logits, target, None)
    )


def test_likelihoods_of_the_worked_batch(logits, target):
    expected = torch.tensor([0.241311, 1.001943, 0.266368, 1.098612])
    assert_close(negative_log_likelihood(logits, target), expected, rtol=0, atol=1e-5)
    soft = negative_log_likelihood(logits, torch.eye(3)[target])
    assert_close(soft.gather(1, target[:, None])[:, 0], expected, rtol=0, atol=1e-5)


def test_fused_and_separate_means_agree(logits, target, class_weights):
    losses = negative_log_likelihood(logits, target)
    for weights in (None, class_weights):
        expected = weighted_mean(losses, target, weights)
        assert_close(mean_cross_entropy(logits, target, weights), expected)
    total = summed_cross_entropy(logits, target, class_weights)
    assert_close(total / 4, plain_mean(losses, target, class_weights))
