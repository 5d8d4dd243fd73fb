"""The batch of all worked numbers: N = 4 entries, C = 3 classes, D = 3 features."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def logits() -> Tensor:
    return torch.tensor([[2, 0.5, -1], [0.1, 0.2, 0.3], [-1, 1.5, 0], [0, 0, 0]])


@pytest.fixture
def target() -> Tensor:
    return torch.tensor([0, 2, 1, 2])


@pytest.fixture
def counts() -> Tensor:
    return torch.tensor([90, 9, 1])


@pytest.fixture
def features() -> Tensor:
    return torch.tensor([[0.5, 0, 1], [0.2, 0.3, 0], [1, 2, 3], [0, 0, 0]])


@pytest.fixture
def class_weights() -> Tensor:
    """Weights of the effective number for the counts, beta 0.999."""
    return torch.tensor([0.031019, 0.297968, 2.671013])


@pytest.fixture
def inverse_frequency() -> Tensor:
    return torch.tensor([0.029703, 0.29703, 2.673267])
