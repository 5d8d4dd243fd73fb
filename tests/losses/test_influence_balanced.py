import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.influence_balanced import InfluenceBalanced


@pytest.mark.parametrize(
    ("index", "expected"), list(enumerate([374.585477, 1580.763893, 94.89032]))
)
def test_entries_of_the_worked_batch(logits, target, counts, features, index, expected):
    one = slice(index, index + 1)
    loss = InfluenceBalanced(counts)(logits[one], target[one], None, features[one])
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("detach_factor", [True, False])
def test_mean_over_the_worked_batch(logits, target, counts, features, detach_factor):
    loss = InfluenceBalanced(counts, detach_factor=detach_factor)
    value = loss(logits[:3], target[:3], None, features[:3])
    assert value.item() == pytest.approx(683.41323, rel=1e-5)


def test_class_weights_multiply(logits, target, counts, features, inverse_frequency):
    loss = InfluenceBalanced(counts)(logits[:3], target[:3], inverse_frequency, features[:3])
    assert loss.item() == pytest.approx(1421.705337, rel=1e-5)


def test_worked_factors_are_cross_entropy_over_influence(logits, target, features):
    errors = torch.softmax(logits, 1) - torch.eye(3)[target]
    norms = errors[:3].abs().sum(1), features[:3].abs().sum(1)
    assert_close(norms[0], torch.tensor([0.428806, 1.265669, 0.467686]), rtol=0, atol=1e-5)
    assert_close(norms[1], torch.tensor([1.5, 0.5, 6]))
    factors = 1000 / (norms[0] * norms[1] + 1e-3)
    expected = torch.tensor([1552.29151, 1577.698664, 356.23782])
    assert_close(factors, expected, rtol=1e-5, atol=0)


def test_features_of_zero_reach_the_largest_factor(logits, target, counts, features):
    loss = InfluenceBalanced(counts)(logits[3:], target[3:], None, features[3:])
    assert loss.item() == pytest.approx(1_098_612, rel=1e-5)
    bounded = InfluenceBalanced(counts, max_factor=100.0)
    value = bounded(logits[3:], target[3:], None, features[3:])
    assert value.item() == pytest.approx(109.8612, rel=1e-5)


def test_certain_prediction_stays_finite(counts):
    loss = InfluenceBalanced(counts)
    logits, target, features = torch.tensor([[20.0, 0, 0]]), torch.tensor([0]), torch.ones(1, 3)
    assert loss(logits.double(), target, None, features).item() == pytest.approx(0.004122, abs=1e-6)
    assert loss(logits, target, None, features).item() == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize(
    ("detach_factor", "by_logits", "by_features"),
    [
        (False, [-38.999461, 31.884964, 7.114497], [-249.336, 0, -249.336]),
        (True, [-332.815903, 272.101787, 60.714115], None),
    ],
)
def test_gradient_of_the_first_worked_entry(
    logits, target, counts, features, detach_factor, by_logits, by_features
):
    logits, features = logits[:1].requires_grad_(), features[:1].requires_grad_()
    loss = InfluenceBalanced(counts, detach_factor=detach_factor)
    loss(logits, target[:1], None, features).backward()
    assert_close(logits.grad[0], torch.tensor(by_logits), rtol=1e-5, atol=1e-4)
    if by_features is None:
        assert features.grad is None
    else:
        assert_close(features.grad[0], torch.tensor(by_features), rtol=1e-5, atol=1e-3)


def test_doubled_features_halve_the_loss(logits, target, counts, features):
    loss = InfluenceBalanced(counts, epsilon=1e-9)
    once = loss(logits[:3], target[:3], None, features[:3])
    twice = loss(logits[:3], target[:3], None, 2 * features[:3])
    assert_close(twice, once / 2)


def test_alpha_is_a_factor(logits, target, counts, features):
    one = InfluenceBalanced(counts, alpha=1)(logits, target, None, features)
    assert_close(InfluenceBalanced(counts, alpha=7)(logits, target, None, features), 7 * one)


def test_influence_is_the_gradient_of_the_head(logits, target, features):
    # the sum of absolute gradients of the head's weights is |p - y| * |h|, the denominator
    weights = torch.zeros(3, 3, requires_grad=True)
    head_logits = features[:1] @ weights.T + logits[:1]
    F.cross_entropy(head_logits, target[:1]).backward()
    assert weights.grad.abs().sum().item() == pytest.approx(0.428806 * 1.5, abs=1e-5)
