import pytest
import torch.nn.functional as F
from timm.loss.asymmetric_loss import AsymmetricLossSingleLabel
from torch.testing import assert_close

from visual_taxonomy.losses.asymmetric import Asymmetric
from visual_taxonomy.losses.focal import Focal


@pytest.mark.parametrize(
    ("positive", "negative", "smoothing"), [(0, 4, 0.1), (1, 4, 0.1), (2, 0, 0.3), (1, 1, 0)]
)
def test_equals_timm(logits, target, counts, positive, negative, smoothing):
    loss = Asymmetric(counts, positive, negative, smoothing)
    expected = AsymmetricLossSingleLabel(positive, negative, eps=smoothing)(logits, target)
    assert_close(loss(logits, target), expected)


def test_without_smoothing_is_focal_loss(logits, target, counts):
    loss = Asymmetric(counts, gamma_positive=2, smoothing=0)
    assert_close(loss(logits, target), Focal(counts, gamma=2)(logits, target))


def test_without_focus_is_smoothed_cross_entropy(logits, target, counts):
    loss = Asymmetric(counts, gamma_negative=0, smoothing=0.2)
    expected = F.cross_entropy(logits, target, label_smoothing=0.2)
    assert_close(loss(logits, target), expected)


def test_class_weights_multiply_the_losses(logits, target, counts, class_weights):
    losses = AsymmetricLossSingleLabel(0, 4, reduction="none")(logits, target)
    expected = (class_weights[target] * losses).mean()
    assert_close(Asymmetric(counts)(logits, target, class_weights), expected)
