import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from visual_taxonomy.class_weighting.class_balanced import ClassBalanced
from visual_taxonomy.errors import InputError


@pytest.mark.parametrize(
    ("beta", "expected"),
    [(0.999, [0.031019, 0.297968, 2.671013]), (0.9999, [0.029833, 0.297124, 2.673043])],
)
def test_worked_weights_at_every_epoch(beta, expected):
    for epoch in (0, 5, 49):
        weights = ClassBalanced(50, beta=beta)(torch.tensor([90, 9, 1]), epoch)
        assert_close(weights, torch.tensor(expected), rtol=0, atol=1e-5)


def test_cross_entropy_of_torch_under_the_weights():
    logits = torch.tensor([[2, 0.5, -1], [0.1, 0.2, 0.3], [-1, 1.5, 0], [0, 0, 0]])
    weights = ClassBalanced(50, beta=0.999)(torch.tensor([90, 9, 1]), 0)
    loss = F.cross_entropy(logits, torch.tensor([0, 2, 1, 2]), weights)
    assert loss.item() == pytest.approx(1.004664, abs=1e-5)


def test_beta_outside_its_range_is_an_error():
    with pytest.raises(InputError, match="beta: 2, expected a number from 0 to 1"):
        ClassBalanced(50, beta=2)
