import pytest
import torch
from torch.testing import assert_close

from visual_taxonomy.class_weighting.class_balanced import ClassBalanced
from visual_taxonomy.class_weighting.deferred import Deferred
from visual_taxonomy.errors import InputError

COUNTS = torch.tensor([90, 9, 1])


@pytest.mark.parametrize("onset", [0.8, 160])
def test_worked_weights_before_and_after_the_onset(onset):
    schedule = Deferred(200, onset=onset)
    assert schedule(COUNTS, 159).tolist() == [1, 1, 1]
    expected = torch.tensor([0.029833, 0.297124, 2.673043])
    assert_close(schedule(COUNTS, 160), expected, rtol=0, atol=1e-5)


def test_weights_change_exactly_once():
    weights = [Deferred(50)(COUNTS, epoch) for epoch in range(50)]
    changes = [e for e in range(1, 50) if not torch.equal(weights[e], weights[e - 1])]
    assert changes == [40]
    assert all(weight.sum().item() == pytest.approx(3, abs=1e-5) for weight in weights)


def test_weights_from_the_onset_on_are_class_balanced():
    expected = ClassBalanced(50, beta=0.99)(COUNTS, 0)
    assert torch.equal(Deferred(50, beta=0.99)(COUNTS, 40), expected)


@pytest.mark.parametrize(
    ("onset", "num_epochs", "start"),
    [(0, 10, 0), (0.8, 1, 0), (0.8, 5, 4), (0.29, 100, 29), (0.99, 2, 1), (1, 10, 1), (4.0, 10, 4)],
)
def test_start_is_a_share_of_the_run_or_an_epoch(onset, num_epochs, start):
    assert Deferred(num_epochs, onset=onset).start_epoch == start


def test_start_after_the_run_is_a_warning():
    with pytest.warns(UserWarning, match="DRW starts at epoch 10 of a run of 10, so it will never"):
        Deferred(10, onset=10)


@pytest.mark.parametrize("onset", [-0.1, float("inf"), float("nan"), "0.8"])
def test_onset_that_is_no_share_and_no_epoch_is_an_error(onset):
    with pytest.raises(InputError, match=r"onset: .*, expected a fraction of the run or an epoch"):
        Deferred(10, onset=onset)


def test_onset_between_two_epochs_is_an_error():
    with pytest.raises(
        InputError, match=r"onset: 2.5, expected a fraction below 1 or a whole epoch"
    ):
        Deferred(10, onset=2.5)


def test_parameters_of_the_base_are_checked_too():
    with pytest.raises(InputError, match="beta: -1, expected a number"):
        Deferred(10, beta=-1)
