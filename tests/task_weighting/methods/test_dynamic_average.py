import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.dynamic_average import DynamicWeightAverage

NAMES = ["c/a", "c/b", "c/d"]
ALL = [0, 1, 2]


def weights_of(method, tasks=ALL):
    values = torch.ones(len(tasks), requires_grad=True)
    method(values, tasks).backward()
    return values.grad.tolist()


def after_epochs(*epochs, **parameters):
    method = DynamicWeightAverage(NAMES, **parameters)
    for losses in epochs:
        method.track(torch.tensor(losses), torch.ones(3), ALL)
        method.end_epoch()
    return method


def test_weights_are_those_computed_by_hand():
    method = after_epochs([1.0, 2.0, 0.5], [0.8, 1.9, 0.2])
    assert weights_of(method) == pytest.approx([1.035692, 1.116356, 0.847953], abs=2e-6)


def test_weights_are_one_in_the_first_two_epochs():
    assert weights_of(DynamicWeightAverage(NAMES)) == pytest.approx([1.0] * 3)
    assert weights_of(after_epochs([1.0, 2.0, 0.5])) == pytest.approx([1.0] * 3)


def test_equal_rates_or_a_high_temperature_give_equal_weights():
    assert weights_of(after_epochs([1.0, 2.0, 4.0], [0.5, 1.0, 2.0])) == pytest.approx([1.0] * 3)
    hot = after_epochs([1.0, 2.0, 0.5], [0.8, 1.9, 0.2], temperature=1e6)
    assert weights_of(hot) == pytest.approx([1.0] * 3, abs=1e-5)


def test_only_the_last_two_epochs_count():
    method = after_epochs([9.0, 1.0, 5.0], [1.0, 2.0, 0.5], [0.8, 1.9, 0.2])
    assert weights_of(method) == pytest.approx([1.035692, 1.116356, 0.847953], abs=2e-6)


def test_means_are_over_labelled_images_of_the_steps_with_the_task():
    method = DynamicWeightAverage(NAMES)
    method.track(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0]), [0, 1])
    method.track(torch.tensor([7.0]), torch.tensor([1.0]), [1])
    method.end_epoch()
    assert method.means[1].tolist() == [1.0, 4.0, 0.0]


def test_a_task_without_both_means_counts_as_unchanged():
    method = DynamicWeightAverage(NAMES)
    for first in (1.0, 1.0):
        method.track(torch.tensor([first, 0.0]), torch.ones(2), [0, 1])
        method.end_epoch()
    assert weights_of(method) == pytest.approx([1.0] * 3)


def test_weights_of_the_tasks_of_a_step_sum_to_their_number():
    method = after_epochs([1.0, 2.0, 0.5], [0.8, 1.9, 0.2])
    assert sum(weights_of(method, [0, 2])) == pytest.approx(2.0)


def test_agrees_with_torchjd():
    from torchjd.scalarization import DWA

    epochs = torch.tensor([[1.0, 2.0, 0.5], [0.8, 1.9, 0.2], [0.7, 1.1, 0.19]])
    reference, method = DWA(2.0), DynamicWeightAverage(NAMES)
    for losses in epochs:
        expected = reference(losses)
        torch.testing.assert_close(method(losses, ALL), expected)
        method.track(losses, torch.ones(3), ALL)
        reference.step()
        method.end_epoch()


def test_temperature_must_be_positive():
    with pytest.raises(InputError, match="temperature must be positive, not 0"):
        DynamicWeightAverage(NAMES, temperature=0)
