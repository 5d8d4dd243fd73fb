import pytest
import torch

from visual_taxonomy.task_weighting.methods.equal import EqualWeighting

NAMES = ["c/a", "c/b", "c/d"]


def test_direction_is_the_sum_of_the_gradients(update, two_rows, three_rows):
    assert update(EqualWeighting(NAMES), two_rows).tolist() == pytest.approx([0.5, 1.0])
    assert update(EqualWeighting(NAMES), three_rows).tolist() == pytest.approx([0.7, 0.6, 2.0])


def test_objective_is_the_sum_of_the_losses():
    assert EqualWeighting(NAMES)(torch.tensor([0.8, 1.5]), [0, 2]).item() == pytest.approx(2.3)
