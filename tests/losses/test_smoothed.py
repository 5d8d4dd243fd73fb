import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES, build_loss
from visual_taxonomy.losses.cross_entropy import CrossEntropy
from visual_taxonomy.losses.smoothed import Smoothed

SMOOTHED = [name for name, loss in LOSSES.items() if loss.takes_smoothing]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_that_of_torch(logits, target, counts, class_weights, smoothing, weighted):
    weights = class_weights if weighted else None
    expected = F.cross_entropy(logits, target, weights, label_smoothing=smoothing)
    assert_close(Smoothed(CrossEntropy(counts), smoothing)(logits, target, weights), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_logit_adjustment_is_torch_on_adjusted_logits(
    logits, target, counts, class_weights, weighted
):
    weights = class_weights if weighted else None
    adjusted = logits + torch.log(counts / counts.sum())
    expected = F.cross_entropy(adjusted, target, weights, label_smoothing=0.1)
    assert_close(Smoothed(build_loss("LA", counts), 0.1)(logits, target, weights), expected)


def test_poly1_is_the_formula_of_its_authors(logits, target, counts):
    soft = 0.9 * F.one_hot(target, 3) + 0.1 / 3
    doubt = (soft * (1 - logits.softmax(1))).sum(1)
    expected = F.cross_entropy(logits, soft) + 2 * doubt.mean()
    assert_close(Smoothed(build_loss("Poly1", counts), 0.1)(logits, target), expected)


@pytest.mark.parametrize("name", SMOOTHED)
@pytest.mark.parametrize("weighted", [False, True])
def test_without_smoothing_it_is_the_loss_itself(
    name, logits, target, counts, class_weights, weighted
):
    weights = class_weights if weighted else None
    loss = build_loss(name, counts)
    assert_close(Smoothed(loss, 0.0)(logits, target, weights), loss(logits, target, weights))


@pytest.mark.parametrize("name", SMOOTHED)
def test_one_hot_rows_equal_indices(name, logits, target, counts, class_weights):
    loss = Smoothed(build_loss(name, counts), 0.2)
    one_hot = F.one_hot(target, 3).float()
    assert_close(loss(logits, one_hot, class_weights), loss(logits, target, class_weights))


def test_soft_targets_are_smoothed_as_torch_does(logits, counts):
    soft = torch.softmax(torch.randn(4, 3), dim=1)
    expected = F.cross_entropy(logits, soft, label_smoothing=0.1)
    assert_close(Smoothed(CrossEntropy(counts), 0.1)(logits, soft), expected)


def test_half_precision_logits_give_a_loss_in_float32(logits, target, counts):
    loss = Smoothed(CrossEntropy(counts), 0.1)(logits.bfloat16(), target)
    assert loss.dtype == torch.float32


def test_a_share_outside_of_its_range_is_refused(counts):
    with pytest.raises(InputError, match=r"smoothing: 1.5, expected a finite number >= 0 and <= 1"):
        Smoothed(CrossEntropy(counts), 1.5)
