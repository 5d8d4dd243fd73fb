import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.fair import FairGradient
from visual_taxonomy.task_weighting.methods.nash import NashBargaining

NAMES = ["c/a", "c/b", "c/d"]


def weights_of(gramian, **parameters):
    return FairGradient(NAMES, **parameters)(gramian, torch.ones(3), range(len(gramian)))


def test_alpha_one_is_nash(gramian_of, three_rows):
    gramian = gramian_of(three_rows)
    nash = NashBargaining(NAMES)(gramian, torch.ones(3), [0, 1, 2])
    torch.testing.assert_close(weights_of(gramian), nash)


def test_two_tasks_have_the_numbers_computed_by_hand(gramian_of, update, two_rows):
    weights = weights_of(gramian_of(two_rows), alpha=2.0)
    assert weights.tolist() == pytest.approx([1.470635, 1.292055], abs=1e-6)
    direction = update(FairGradient(NAMES, alpha=2.0), two_rows)
    assert direction.tolist() == pytest.approx([0.824608, 1.292055], abs=2e-6)
    direction = update(FairGradient(NAMES, alpha=0.5), two_rows)
    assert direction.tolist() == pytest.approx([0.664641, 1.123938], abs=2e-6)


@pytest.mark.parametrize(
    ("alpha", "weights", "direction"),
    [
        (2.0, [1.454342, 1.432027, 0.454424], [0.829214, 1.250257, 0.908849]),
        (0.5, [1.195042, 1.250453, 0.652016], [0.700219, 0.989646, 1.304032]),
    ],
)
def test_three_tasks_have_the_numbers_computed_by_hand(
    alpha, weights, direction, gramian_of, update, three_rows
):
    found = weights_of(gramian_of(three_rows), alpha=alpha)
    assert found.tolist() == pytest.approx(weights, abs=1e-6)
    moved = update(FairGradient(NAMES, alpha=alpha), three_rows)
    assert moved.tolist() == pytest.approx(direction, abs=3e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 4.0])
def test_scaling_all_gradients_scales_the_weights_by_its_power(alpha, gramian_of, three_rows):
    gramian = gramian_of(three_rows)
    expected = weights_of(gramian, alpha=alpha) * 10 ** (-2 * alpha / (1 + alpha))
    torch.testing.assert_close(weights_of(100 * gramian, alpha=alpha), expected)


def test_authors_scale_is_times_the_tasks_then_clipped(update, two_rows):
    direction = update(FairGradient(NAMES, times_tasks=True, max_norm=0.5), two_rows)
    assert direction.norm().item() == pytest.approx(0.5)
    doubled = update(FairGradient(NAMES, times_tasks=True), two_rows)
    assert doubled.tolist() == pytest.approx([2 * 0.743496, 2 * 1.203002], abs=3e-6)


def test_agrees_with_torchjd(gramian_of, three_rows):
    from torchjd.aggregation import FairGradWeighting

    gramian = gramian_of(three_rows)
    expected = FairGradWeighting(alpha=2.0)(gramian)
    torch.testing.assert_close(weights_of(gramian, alpha=2.0), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("parameters", [{"alpha": 0.0}, {"max_norm": -1.0}])
def test_values_out_of_range_are_refused(parameters):
    with pytest.raises(InputError, match="alpha must be positive and max_norm not negative"):
        FairGradient(NAMES, **parameters)
