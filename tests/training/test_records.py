import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.training.records import KINDS, Records, divergence

Epoch = tuple[float, float]


def history(*epochs: Epoch) -> list[set[str]]:
    """The kinds of checkpoint that each (score, loss) earns."""
    records, earned = Records(), []
    for score, loss in epochs:
        records, kinds = records.update(score=score, loss=loss)
        earned.append(set(kinds))
    return earned


def after(*epochs: Epoch) -> Records:
    records = Records()
    for score, loss in epochs:
        records, _ = records.update(score=score, loss=loss)
    return records


def test_the_first_epoch_earns_all_three():
    assert history((0.0, 5.0)) == [set(KINDS)]


def test_an_epoch_that_improves_one_of_two_earns_that_one():
    """F1 .50, .60, .70 with losses 2.0, 2.1, 1.9: the last epoch is best in all."""
    assert history((0.5, 2.0), (0.6, 2.1), (0.7, 1.9)) == [set(KINDS), {"score"}, set(KINDS)]
    records = after((0.5, 2.0), (0.6, 2.1), (0.7, 1.9))
    assert (records.best_score, records.best_loss) == (0.7, 1.9)
    assert (records.both_score, records.both_loss) == (0.7, 1.9)


def test_monotone_improvement_earns_all_three_every_time():
    assert history((0.1, 3.0), (0.2, 2.0), (0.3, 1.0)) == [set(KINDS)] * 3


def test_both_is_compared_with_the_last_epoch_that_improved_both():
    """The third epoch has neither the best score nor the best loss, but beats the first twice."""
    epochs = (0.5, 2.0), (0.8, 2.5), (0.4, 1.0), (0.6, 1.5)
    assert history(*epochs) == [set(KINDS), {"score"}, {"loss"}, {"both"}]


def test_a_lucky_first_loss_does_not_block_the_score():
    assert history((0.1, 0.5), (0.5, 1.0), (0.6, 0.9)) == [set(KINDS), {"score"}, {"score"}]


def test_a_lucky_first_score_does_not_block_the_loss():
    assert history((0.9, 3.0), (0.5, 2.0), (0.6, 1.0)) == [set(KINDS), {"loss"}, {"loss"}]


def test_ties_earn_nothing():
    assert history((0.5, 2.0), (0.5, 2.0), (0.6, 2.0), (0.6, 1.9)) == [
        set(KINDS),
        set(),
        {"score"},
        {"both", "loss"},  # beats the first epoch, which holds the record of both
    ]


def test_a_first_loss_that_is_no_number_blocks_nothing():
    assert history((0.5, math.nan), (0.6, 2.0)) == [{"score"}, set(KINDS)]
    assert after((0.5, math.nan)).best_loss == math.inf


def test_a_later_loss_that_is_no_number_earns_nothing_by_itself():
    assert history((0.5, 2.0), (0.5, math.nan), (0.5, 1.9)) == [set(KINDS), set(), {"loss"}]


@pytest.mark.parametrize("better", [(0.6, 9.0), (0.1, 1.9), (0.6, 1.9)])
def test_an_improvement_of_either_score_or_loss_ends_idleness(better):
    worse = (0.4, 3.0)
    assert after((0.5, 2.0), worse, worse).idle_epochs == 2
    assert after((0.5, 2.0), worse, worse, better).idle_epochs == 0
    assert after((0.5, 2.0), worse, better, worse).idle_epochs == 1


def test_improving_on_both_alone_does_not_end_idleness():
    epochs = (0.5, 2.0), (0.8, 2.5), (0.4, 1.0), (0.6, 1.5)
    assert after(*epochs).idle_epochs == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 10)), min_size=1))
@settings(deadline=None)
def test_the_records_are_the_best_of_all_epochs(epochs):
    records = after(*epochs)
    assert records.best_score == max(score for score, _ in epochs)
    assert records.best_loss == min(loss for _, loss in epochs)
    assert (records.both_score, records.both_loss) in epochs
    # who beats the best on both at once, beats the records of both
    assert all({"score", "loss"} - kinds or "both" in kinds for kinds in history(*epochs))


def test_records_survive_a_dict():
    records = after((0.5, 2.0), (0.4, 3.0))
    assert Records(**records.to_dict()) == records
    assert records.to_dict()["idle_epochs"] == 1


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([2.0, 1.5, 1.2], None),
        ([2.0, 0.4, 4.0], None),  # overfitting
        ([0.01, 0.05, 0.2], None),
        ([2.0, 1.0, 30.0], "30 in epoch 3, 1 at best (epoch 2); lower `scratch_lr`"),
        ([1e10, 2e10], "2e+10 in epoch 2, 1e+10 at best (epoch 1); lower `scratch_lr`"),
        ([1e10, 2.0, 1.0], None),  # found its way back
        ([2.0, math.nan], None),
        ([math.nan, math.nan], None),
        ([], None),
    ],
)
def test_a_run_that_ends_far_above_its_best_loss_has_diverged(losses, message):
    said = divergence([{"epoch": i, "val_loss": loss} for i, loss in enumerate(losses)])
    assert (said is None) == (message is None)
    assert message is None or message in said
