import pytest
import torch
import torch.nn.functional as F
from timm.loss.poly_loss import PolyCrossEntropy
from torch.testing import assert_close

from visual_taxonomy.losses.focal import Focal
from visual_taxonomy.losses.poly1 import Poly1


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 2.0])
def test_equals_timm(logits, target, counts, epsilon):
    expected = PolyCrossEntropy(epsilon)(logits, target)
    assert_close(Poly1(counts, epsilon=epsilon)(logits, target), expected)


def test_soft_targets_equal_timm(logits, counts):
    soft = torch.softmax(torch.randn(4, 3), dim=1)
    assert_close(Poly1(counts)(logits, soft), PolyCrossEntropy(2.0)(logits, soft))


def test_without_extra_term_is_cross_entropy_or_focal_loss(logits, target, counts):
    plain = Poly1(counts, epsilon=0)(logits, target)
    assert_close(plain, F.cross_entropy(logits, target))
    focal = Poly1(counts, epsilon=0, gamma=1.5)(logits, target)
    assert_close(focal, Focal(counts, gamma=1.5)(logits, target))


def test_uniform_prediction_over_two_classes_with_focus():
    loss = Poly1(torch.tensor([1, 1]), epsilon=2, gamma=1)
    value = loss(torch.zeros(1, 2), torch.tensor([0]))
    assert value.item() == pytest.approx(0.5 * 0.693147 + 2 * 0.5**2, abs=1e-5)


def test_class_weights_multiply_the_losses(logits, target, counts, class_weights):
    losses = PolyCrossEntropy(2.0, reduction="none")(logits, target)
    expected = (class_weights[target] * losses).mean()
    assert_close(Poly1(counts)(logits, target, class_weights), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradient_of_a_certain_prediction_is_finite(gamma):
    logits = torch.tensor([[40.0, 0], [0, 40.0]], requires_grad=True)
    Poly1(torch.tensor([1, 1]), gamma=gamma)(logits, torch.tensor([0, 0])).backward()
    assert logits.grad.isfinite().all()
