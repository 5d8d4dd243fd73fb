import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.losses.label_distribution_margin import LabelDistributionAwareMargin


def test_margins_of_the_worked_counts(counts):
    margins = LabelDistributionAwareMargin(counts).margins
    expected = torch.tensor([0.162334, 0.288675, 0.5])
    assert_close(margins, expected, rtol=0, atol=1e-5)
    assert (margins[2] / margins[0]).item() == pytest.approx(3.08007, abs=1e-4)


def test_absent_class_has_no_margin():
    margins = LabelDistributionAwareMargin(torch.tensor([10, 0, 5])).margins
    assert_close(margins, torch.tensor([0.420448, 0, 0.5]), rtol=0, atol=1e-5)


def test_margin_times_fourth_root_of_the_count_is_constant():
    counts = torch.tensor([1000, 300, 20, 3])
    products = LabelDistributionAwareMargin(counts, max_margin=0.7).margins * counts**0.25
    assert_close(products, products[:1].expand(4))


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1.0, [0.278404, 1.345911, 0.341714, 1.45802]),
        (30.0, [0, 12.048593, 0, 15.693147]),
    ],
)
def test_entries_of_the_worked_batch(logits, target, counts, scale, expected):
    loss = LabelDistributionAwareMargin(counts, scale=scale)
    for index, value in enumerate(expected):
        one = slice(index, index + 1)
        assert loss(logits[one], target[one]).item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 0.856012), (30.0, 6.935435)])
def test_mean_over_the_worked_batch(logits, target, counts, scale, expected):
    loss = LabelDistributionAwareMargin(counts, scale=scale)(logits, target)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_weighted_mean_over_the_worked_batch(logits, target, counts, class_weights):
    loss = LabelDistributionAwareMargin(counts)(logits, target, class_weights)
    assert loss.item() == pytest.approx(13.066193, abs=2e-5)


def test_worked_cosines(counts):
    features = torch.tensor([[3.0, 0, 4], [0, 1, 1]])
    class_vectors = torch.tensor([[1.0, 0, 1], [0, 2, 1], [1, 0, 1]])
    cosines = F.normalize(features) @ F.normalize(class_vectors).T
    loss = LabelDistributionAwareMargin(counts)
    first = loss(cosines[:1], torch.tensor([0]))
    second = loss(cosines[1:], torch.tensor([2]))
    assert first.item() == pytest.approx(4.877663, abs=1e-5)
    assert second.item() == pytest.approx(28.4605, abs=2e-5)


def test_without_margin_is_scaled_cross_entropy(logits, target, counts):
    loss = LabelDistributionAwareMargin(counts, max_margin=0, scale=1)
    assert_close(loss(logits, target), F.cross_entropy(logits, target))
    scaled = LabelDistributionAwareMargin(counts, max_margin=0, scale=30)
    assert_close(scaled(logits, target), F.cross_entropy(30 * logits, target))


def test_a_wider_margin_never_lowers_the_loss(logits, target, counts):
    values = [
        LabelDistributionAwareMargin(counts, max_margin=margin, scale=1)(logits, target)
        for margin in (0.0, 0.1, 0.5, 2.0)
    ]
    assert values == sorted(values)


def test_soft_target_equals_numpy(counts):
    logits, soft = np.random.randn(4, 3), np.random.dirichlet(np.ones(3), 4)
    margins = 0.5 * (1 / np.array([90, 9, 1])) ** 0.25
    total = 0.0
    for n in range(4):
        for k in range(3):
            scores = 5 * (logits[n] - margins[k] * (np.arange(3) == k))
            total += soft[n, k] * (np.log(np.exp(scores).sum()) - scores[k])
    loss = LabelDistributionAwareMargin(counts, scale=5)
    value = loss(torch.tensor(logits), torch.tensor(soft))
    assert value.item() == pytest.approx(total / 4, abs=1e-5)
