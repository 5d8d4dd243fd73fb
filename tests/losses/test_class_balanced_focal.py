import pytest
import torch
from torch.testing import assert_close

from visual_taxonomy.losses.class_balanced_cross_entropy import ClassBalancedCrossEntropy
from visual_taxonomy.losses.class_balanced_focal import ClassBalancedFocal
from visual_taxonomy.losses.focal import Focal


@pytest.mark.parametrize(
    ("beta", "gamma", "expected"),
    [
        (0.999, 0.5, 1.141681),
        (0.999, 1, 0.917508),
        (0.999, 2, 0.595157),
        (0.9999, 0.5, 1.142481),
        (0.9999, 1, 0.918173),
        (0.9999, 2, 0.595603),
    ],
)
def test_mean_over_the_worked_batch(logits, target, counts, beta, gamma, expected):
    loss = ClassBalancedFocal(counts, beta=beta, gamma=gamma)(logits, target)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_without_focus_is_class_balanced_cross_entropy(logits, target, counts):
    loss = ClassBalancedFocal(counts, gamma=0)(logits, target)
    assert_close(loss, ClassBalancedCrossEntropy(counts)(logits, target))


def test_balanced_counts_give_focal_loss(logits, target):
    counts = torch.tensor([5, 5, 5])
    assert_close(ClassBalancedFocal(counts)(logits, target), Focal(counts)(logits, target))


def test_weights_of_a_schedule_multiply(logits, target, counts, class_weights):
    loss = ClassBalancedFocal(counts)
    expected = Focal(counts)(logits, target, class_weights * loss.balanced_weights)
    assert_close(loss(logits, target, class_weights), expected)
