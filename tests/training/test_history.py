import math
from collections.abc import Mapping

import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.training.history import (
    COLUMNS,
    METRICS_NAME,
    EpochLosses,
    write_metrics,
)

ONE = torch.tensor(1.0)


def add(losses: EpochLosses, step: int, values: Mapping[str, tuple[float, int]], norm=ONE) -> None:
    """Add a step given as task -> (loss, labelled entries)."""
    tensors = {name: torch.tensor(loss) for name, (loss, _) in values.items()}
    losses.add(step, tensors, [count for _, count in values.values()], norm)


def test_the_mean_is_over_tasks_of_the_mean_over_entries():
    """c/a: (2 * 3 + 6 * 1) / 4 = 3; c/b: 5; c/z: (1 * 1 + 4 * 2) / 3 = 3; mean 11 / 3."""
    losses = EpochLosses()
    add(losses, 0, {"c/a": (2.0, 3), "c/b": (5.0, 7)})
    add(losses, 1, {"c/z": (1.0, 1)})
    add(losses, 2, {"c/z": (4.0, 2), "c/a": (6.0, 1)})
    losses.fetch(learning_rate=0.1)
    assert losses.mean() == pytest.approx(11 / 3)
    assert losses.sums == {"c/a": 12.0, "c/b": 35.0, "c/z": 9.0}
    assert losses.entries == {"c/a": 4, "c/b": 7, "c/z": 3}


def test_nothing_counts_before_it_is_fetched():
    losses = EpochLosses()
    assert math.isnan(losses.mean())
    add(losses, 0, {"c/a": (2.0, 1)})
    assert math.isnan(losses.mean())
    losses.fetch(learning_rate=0.1)
    assert losses.mean() == 2.0


def test_fetching_twice_counts_once_and_fetching_nothing_is_allowed():
    losses = EpochLosses()
    losses.fetch(learning_rate=0.1)
    add(losses, 0, {"c/a": (2.0, 1)})
    losses.fetch(learning_rate=0.1)
    losses.fetch(learning_rate=0.1)
    assert losses.entries == {"c/a": 1}


@pytest.mark.parametrize("every", [1, 3, 100])
def test_how_often_is_fetched_does_not_matter(every):
    random = torch.rand(30, 2).tolist()
    losses = EpochLosses()
    for step, (a, b) in enumerate(random):
        add(losses, step, {"c/a": (a, step % 4 + 1), "c/b": (b, 1)})
        if step % every == 0:
            losses.fetch(learning_rate=0.1)
    losses.fetch(learning_rate=0.1)
    weights = [step % 4 + 1 for step in range(30)]
    of_a = sum(a * weight for (a, _), weight in zip(random, weights, strict=True)) / sum(weights)
    of_b = sum(b for _, b in random) / 30
    assert losses.mean() == pytest.approx((of_a + of_b) / 2)


def test_kept_losses_hold_no_graph_and_do_not_change_with_the_tensor():
    losses, weight = EpochLosses(), torch.ones((), requires_grad=True)
    loss = weight * 3
    losses.add(0, {"c/a": loss}, [1], ONE)
    assert not losses._steps[0][-1].requires_grad
    with torch.no_grad():
        loss.zero_()
    losses.fetch(learning_rate=0.1)
    assert losses.mean() == 3.0


def test_half_precision_losses_are_summed_in_more():
    losses = EpochLosses()
    for step in range(1000):
        losses.add(step, {"c/a": torch.tensor(70.0, dtype=torch.float16)}, [100], ONE)
    losses.fetch(learning_rate=0.1)
    assert losses.mean() == 70.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_step_task_and_learning_rate(value):
    losses = EpochLosses()
    add(losses, 41, {"c/a": (2.0, 1), "c/b": (1.0, 1)})
    add(losses, 42, {"c/a": (2.0, 1), "c/b": (value, 1)})
    message = rf"step 42: the loss of 'c/b' is {value} at learning rate 0\.000123; lower .*`resume`"
    with pytest.raises(InputError, match=message):
        losses.fetch(learning_rate=1.2345e-4)


def test_a_gradient_that_is_not_finite_names_step_tasks_and_learning_rate():
    losses = EpochLosses()
    add(losses, 7, {"c/a": (2.0, 1), "c/b": (1.0, 1)}, torch.tensor(math.inf))
    with pytest.raises(InputError, match=r"step 7: the gradient of c/a, c/b is inf at .* 0\.1;"):
        losses.fetch(learning_rate=0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_where_losses_need_not_be_finite_their_mean_is_not_either(value):
    losses = EpochLosses(must_be_finite=False)
    add(losses, 0, {"c/a": (2.0, 1), "c/b": (value, 1)}, torch.tensor(math.nan))
    add(losses, 1, {"c/a": (2.0, 1), "c/b": (1.0, 1)})
    losses.fetch(learning_rate=0.1)
    assert losses.mean() == pytest.approx(value, nan_ok=True)
    assert losses.sums["c/a"] == 4.0


def row(epoch: int, **changes: float) -> dict[str, float]:
    return {name: float(i) for i, name in enumerate(COLUMNS)} | {"epoch": epoch} | changes


def test_metrics_are_a_csv_with_a_row_an_epoch(tmp_path):
    write_metrics(tmp_path, [row(0, train_loss=0.5), row(1, val_loss=math.nan)])
    assert (tmp_path / METRICS_NAME).read_bytes() == (
        b"epoch,step,train_loss,val_loss,hm,micro,macro,lr,images_per_second,waiting_share,seconds,"
        b"conflict_share\n"
        b"0,1.0,0.5,3.0,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0\n"
        b"1,1.0,2.0,nan,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0\n"
    )


def test_what_a_row_does_not_have_stays_blank(tmp_path):
    known = row(0)
    del known["conflict_share"]
    write_metrics(tmp_path, [known])
    assert (tmp_path / METRICS_NAME).read_text().splitlines()[1].endswith(",10.0,")


def test_metrics_are_written_anew_each_time(tmp_path):
    for _ in range(2):
        write_metrics(tmp_path, [row(0)])
    assert len((tmp_path / METRICS_NAME).read_text().splitlines()) == 2
