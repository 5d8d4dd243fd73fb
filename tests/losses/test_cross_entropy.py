import pytest
import torch
from torch.testing import assert_close

from visual_taxonomy.losses.cross_entropy import CrossEntropy


def test_mean_over_the_worked_batch(logits, target, counts):
    assert CrossEntropy(counts)(logits, target).item() == pytest.approx(0.652059, abs=1e-5)


@pytest.mark.parametrize(
    ("index", "expected"), list(enumerate([0.241311, 1.001943, 0.266368, 1.098612]))
)
def test_entries_of_the_worked_batch(logits, target, counts, index, expected):
    one = slice(index, index + 1)
    loss = CrossEntropy(counts)(logits[one], target[one])
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_weighted_mean_divides_by_the_weights_of_the_targets(logits, target, counts, class_weights):
    loss = CrossEntropy(counts)(logits, target, class_weights)
    assert loss.item() == pytest.approx(1.004664, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_layer_of_torch(logits, target, counts, class_weights, smoothing, weighted):
    weights = class_weights if weighted else None
    layer = torch.nn.CrossEntropyLoss(weights, label_smoothing=smoothing)
    loss = CrossEntropy(counts, smoothing=smoothing)(logits, target, weights)
    assert_close(loss, layer(logits, target))


def test_smoothed_index_is_the_loss_of_the_smoothed_target(logits, target, counts):
    soft = 0.9 * torch.eye(3)[target] + 0.1 / 3
    smoothed = CrossEntropy(counts, smoothing=0.1)(logits, target)
    assert_close(smoothed, CrossEntropy(counts)(logits, soft))


def test_soft_targets_equal_the_layer_of_torch(logits, counts):
    soft = torch.softmax(torch.randn(4, 3), dim=1)
    layer = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    assert_close(CrossEntropy(counts, smoothing=0.1)(logits, soft), layer(logits, soft))


def test_equal_weights_are_no_weights(logits, target, counts):
    loss = CrossEntropy(counts)
    assert_close(loss(logits, target, torch.full((3,), 7.0)), loss(logits, target))
