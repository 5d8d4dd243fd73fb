import pytest
import torch
from torch.testing import assert_close

from visual_taxonomy.class_weighting.inverse_frequency import InverseFrequency


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([90, 9, 1], [0.029703, 0.29703, 2.673267]), ([10, 0, 5], [0.666667, 0, 1.333333])],
)
def test_worked_weights_at_every_epoch(counts, expected):
    for epoch in (0, 9):
        weights = InverseFrequency(10)(torch.tensor(counts), epoch)
        assert_close(weights, torch.tensor(expected), rtol=0, atol=1e-5)


def test_weight_times_count_is_constant():
    counts = torch.tensor([811, 90, 9, 1])
    products = InverseFrequency(10)(counts, 0) * counts
    assert_close(products, products[:1].expand(4))
