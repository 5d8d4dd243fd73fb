import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.tchebycheff import SmoothTchebycheff

NAMES = ["c/a", "c/b", "c/d"]
ALL = [0, 1, 2]
NADIR = [1.2, 1.3, 1.5]


def differentiate(method, losses, tasks=ALL):
    values = torch.tensor(losses, requires_grad=True)
    objective = method(values, tasks)
    objective.backward()
    return objective.item(), values.grad.tolist()


def after_warmup(smoothness=1.0, nadir=NADIR, tasks=ALL):
    method = SmoothTchebycheff(NAMES, smoothness=smoothness, warmup_epochs=0)
    method.track(torch.tensor(nadir), torch.ones(len(tasks)), tasks)
    method.end_epoch()
    return method


def test_warm_up_is_the_sum_of_log_losses(three_losses):
    objective, weights = differentiate(SmoothTchebycheff(NAMES), three_losses)
    assert objective == pytest.approx(-1.021651, abs=2e-6)
    assert weights == pytest.approx([1.25, 0.666667, 3.333333], abs=2e-6)


@pytest.mark.parametrize(
    ("smoothness", "value", "weights"),
    [
        (1.0, 2.110054, [1.23731, 1.142132, 0.989848]),
        (0.5, 0.894794, [0.917866, 1.466414, 0.220288]),
        (0.1, None, [0.015483, 1.991743, 0.0]),
    ],
)
def test_weights_after_the_warm_up_are_those_computed_by_hand(
    smoothness, value, weights, three_losses
):
    objective, found = differentiate(after_warmup(smoothness), three_losses)
    assert found == pytest.approx(weights, abs=2e-6)
    assert value is None or objective == pytest.approx(value, abs=2e-6)


def test_low_smoothness_leaves_the_worst_task_alone(three_losses):
    _, weights = differentiate(after_warmup(0.001), three_losses)
    assert weights == pytest.approx([0.0, 2.0, 0.0], abs=2e-6)  # 3 / 1.5


def test_high_smoothness_is_the_warm_up(three_losses):
    _, weights = differentiate(after_warmup(1e4), three_losses)
    assert weights == pytest.approx([1.25, 0.666667, 3.333333], rel=1e-3)


def test_warm_up_ends_after_the_fifth_epoch(three_losses):
    method = SmoothTchebycheff(NAMES)
    for _ in range(4):
        method.track(torch.full((3,), 9.0), torch.ones(3), ALL)
        method.end_epoch()
    method.track(torch.tensor(NADIR), torch.ones(3), ALL)
    assert differentiate(method, three_losses)[1] == pytest.approx([1.25, 0.666667, 3.333333])
    method.end_epoch()
    expected = [1.23731, 1.142132, 0.989848]
    assert differentiate(method, three_losses)[1] == pytest.approx(expected, abs=2e-6)


def test_nadir_is_the_mean_over_labelled_images():
    method = SmoothTchebycheff(NAMES, warmup_epochs=0)
    method.track(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0]), [0, 1])
    method.track(torch.tensor([5.0]), torch.tensor([1.0]), [0])
    method.end_epoch()
    assert method.nadir.tolist() == [2.0, 2.0, 0.0]


def test_a_task_first_seen_after_the_warm_up_takes_its_first_loss():
    method = after_warmup(nadir=[1.2, 1.3], tasks=[0, 1])
    _, weights = differentiate(method, [1.2, 1.3, 7.0])
    assert weights == pytest.approx([1 / 1.2, 1 / 1.3, 1 / 7.0])
    method.track(torch.tensor([7.0]), torch.ones(1), [2])
    method.track(torch.tensor([3.0]), torch.ones(1), [2])
    assert method.nadir.tolist() == pytest.approx([1.2, 1.3, 7.0])


def test_agrees_with_torchjd(three_losses):
    from torchjd.scalarization import STCH

    ratios = torch.tensor(three_losses).log() - torch.tensor(NADIR).log()
    expected = 3 * STCH(0.5, weights=torch.ones(3))(ratios)
    objective, _ = differentiate(after_warmup(0.5), three_losses)
    assert objective == pytest.approx(expected.item(), abs=2e-6)


@pytest.mark.parametrize("parameters", [{"smoothness": 0.0}, {"warmup_epochs": -1}])
def test_values_out_of_range_are_refused(parameters):
    with pytest.raises(InputError, match="smoothness must be positive and warmup_epochs not"):
        SmoothTchebycheff(NAMES, **parameters)
