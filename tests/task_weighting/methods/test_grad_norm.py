import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.grad_norm import GradientNormalization, level_gradient

NAMES = ["c/a", "c/b", "c/d"]
INITIAL = {"c/a": 1.6, "c/b": 1.5, "c/d": 1.2}
ALL = [0, 1, 2]


def test_distance_and_slope_are_those_computed_by_hand(gramian_of, three_rows):
    norms = gramian_of(three_rows).diagonal().sqrt()
    assert norms.tolist() == pytest.approx([1.0, 1.118034, 2.04939], abs=1e-6)
    ratios = torch.tensor([0.8 / 1.6, 1.5 / 1.5, 0.3 / 1.2]).double()
    distance, slope = level_gradient(norms, ratios, torch.ones(3).double(), 1.5)
    assert distance.item() == pytest.approx(3.761943, abs=2e-6)
    assert slope.tolist() == pytest.approx([-1.0, -1.118034, 2.04939], abs=1e-6)


def test_one_step_moves_the_weights_as_computed_by_hand(gramian_of, three_rows, three_losses):
    method = GradientNormalization(NAMES, initial_losses=INITIAL)
    used = method(gramian_of(three_rows), torch.tensor(three_losses), ALL)
    assert used.tolist() == [1.0, 1.0, 1.0]
    expected = [1.024414, 1.027363, 0.948223]
    assert method.weights.tolist() == pytest.approx(expected, abs=1e-6)


def test_without_asymmetry_pulls_approach_their_mean():
    method = GradientNormalization(NAMES, asymmetry=0.0, learning_rate=0.01)
    norms = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for _ in range(400):
        weights = method(torch.diag(norms**2), torch.ones(3), ALL)
    pulls = weights * norms
    assert pulls.tolist() == pytest.approx([pulls.mean().item()] * 3, rel=0.05)
    assert method.weights.sum().item() == pytest.approx(3.0)


def test_equal_norms_and_rates_move_nothing():
    method = GradientNormalization(NAMES)
    method(torch.eye(3, dtype=torch.float64), torch.ones(3), ALL)
    assert method.weights.tolist() == [1.0, 1.0, 1.0]


def test_first_loss_is_kept_as_the_initial_one():
    method = GradientNormalization(NAMES)
    method(torch.eye(2, dtype=torch.float64), torch.tensor([2.0, 4.0]), [0, 2])
    method(torch.eye(2, dtype=torch.float64), torch.tensor([9.0, 1.0]), [0, 1])
    assert method.initial_losses.tolist() == [2.0, 1.0, 4.0]


def test_absent_tasks_keep_their_weight_and_the_others_their_sum(gramian_of, three_rows):
    method = GradientNormalization(NAMES)
    gramian = gramian_of(three_rows)[[0, 2]][:, [0, 2]]
    method(gramian, torch.tensor([1.0, 1.0]), [0, 2])
    assert method.weights[1] == 1.0
    assert method.weights[[0, 2]].sum().item() == pytest.approx(2.0)
    assert method.weights[0] > 1.0


def test_weight_of_a_single_task_stays_one():
    method = GradientNormalization(NAMES)
    for _ in range(3):
        method(torch.tensor([[4.0]]).double(), torch.tensor([0.5]), [1])
    assert method.weights.tolist() == [1.0, 1.0, 1.0]


def test_weights_stay_positive_however_strong_the_step():
    method = GradientNormalization(NAMES, learning_rate=100.0)
    for _ in range(5):
        method(torch.diag(torch.tensor([1.0, 9.0, 4.0]).double()), torch.ones(3), ALL)
        assert (method.weights > 0).all()
        assert method.weights.sum().item() == pytest.approx(3.0)


def test_there_is_nothing_for_an_optimizer():
    assert list(GradientNormalization(NAMES).parameters()) == []


@pytest.mark.parametrize(
    "parameters", [{"asymmetry": -1.0}, {"learning_rate": -1.0}, {"initial_losses": {"c/a": 0.0}}]
)
def test_values_out_of_range_are_refused(parameters):
    with pytest.raises(InputError, match="must not be negative and initial losses"):
        GradientNormalization(NAMES, **parameters)


def test_initial_loss_of_an_unknown_task_is_refused():
    with pytest.raises(InputError, match="'c/x' is none of"):
        GradientNormalization(NAMES, initial_losses={"c/x": 1.0})
