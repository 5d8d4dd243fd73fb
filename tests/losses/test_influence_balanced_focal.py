import pytest
from torch.testing import assert_close

from visual_taxonomy.losses.influence_balanced import InfluenceBalanced
from visual_taxonomy.losses.influence_balanced_focal import InfluenceBalancedFocal


def test_mean_over_the_worked_batch(logits, target, counts, features):
    loss = InfluenceBalancedFocal(counts)(logits[:3], target[:3], None, features[:3])
    assert loss.item() == pytest.approx(367.621246, rel=1e-5)


def test_class_weights_do_not_enter_the_modulation(
    logits, target, counts, features, inverse_frequency
):
    loss = InfluenceBalancedFocal(counts)
    value = loss(logits[:3], target[:3], inverse_frequency, features[:3])
    assert value.item() == pytest.approx(894.403901, rel=1e-5)


def test_without_focus_is_influence_balanced(logits, target, counts, features):
    loss = InfluenceBalancedFocal(counts, gamma=0)(logits, target, None, features)
    assert_close(loss, InfluenceBalanced(counts)(logits, target, None, features))
