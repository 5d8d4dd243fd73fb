import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.data.balanced_sampler import BalancedSampler, repeat_factors
from visual_taxonomy.data.dataset import ImageDataset
from visual_taxonomy.data.sampler import FILLER, Draw
from visual_taxonomy.data.transforms import light_transform
from visual_taxonomy.errors import InputError

WEIGHTS = st.lists(st.floats(0.1, 50), max_size=80).map(np.array)
SIZES = st.integers(1, 17)


def epoch_of(sampler: BalancedSampler, epoch: int = 0, step: int = 0) -> list[list[Draw]]:
    sampler.set_position(epoch, step)
    return list(sampler)


def test_factors_are_those_of_hand(taxonomy) -> None:
    # Sarees: border (3 classes), color (2). Kurtis: color, sleeve, occasion of one class.
    categories = np.array([0] * 10 + [1] * 2)
    border = [0] * 6 + [1] * 3 + [2]  # 60, 30 and 10 %, of which 1 / 3 each would be alike
    color = [0, 1, 1, 1, -1, -1, -1, -1, -1, -1]  # 25 and 75 % of four rows, with 1 / 2
    targets = np.array([[b, c, -1] for b, c in zip(border, color, strict=True)] + [[0, -1, 0]] * 2)
    expected = [
        math.sqrt(0.5 / 0.25),  # of its rare color, as its border is common
        *[1.0] * 5,
        *[math.sqrt(1 / 3 / 0.3)] * 3,
        math.sqrt(1 / 3 / 0.1),
        *[1.0] * 2,  # an attribute with one class that occurs has no rare one
    ]
    assert repeat_factors(taxonomy, categories, targets) == pytest.approx(expected)


def test_the_larger_factor_of_a_row_counts(taxonomy) -> None:
    targets = np.array([[0, 0, -1]] + [[1, 1, -1]] * 2 + [[1, 0, -1]])
    # Border of row 0: one of four; its color: two of four, so common.
    assert repeat_factors(taxonomy, np.zeros(4, int), targets) == pytest.approx(
        [math.sqrt(0.5 / 0.25), 1, 1, 1]
    )


def test_over_many_epochs_each_row_comes_as_often_as_its_weight_says() -> None:
    weights = np.array([1.0, 1.0, 1.5, 2.5, 6.0])
    sampler, counts = BalancedSampler(weights, 2, seed=0), np.zeros(5)
    for epoch in range(800):
        drawn = [draw.row for batch in epoch_of(sampler, epoch) for draw in batch]
        counts += np.bincount(drawn, minlength=5)
    expected = 5 * weights / 12  # by hand: 0.42, 0.42, 0.63, 1.04, 2.5
    # A number rounded at random has a deviation of at most 0.5, and the mean of 800 of 0.018.
    assert counts / 800 == pytest.approx(expected, abs=0.07)


@given(WEIGHTS, SIZES, st.integers(0, 2**40), st.integers(0, 50))
@settings(deadline=None)
def test_an_epoch_has_as_many_draws_as_rows_and_each_its_share_rounded(
    weights, size, seed, epoch
) -> None:
    sampler = BalancedSampler(weights, size, seed)
    batches = epoch_of(sampler, epoch)
    assert len(batches) == len(sampler) == -(-len(weights) // size)
    assert all(len(batch) == size for batch in batches[:-1])
    counts = Counter(draw.row for batch in batches for draw in batch)
    assert counts.total() == len(weights)
    for row, share in enumerate(len(weights) * weights / weights.sum()):
        assert math.floor(share - 1e-9) <= counts[row] <= math.ceil(share + 1e-9)


def test_rows_of_one_weight_come_once_each() -> None:
    rows = [
        draw.row for batch in epoch_of(BalancedSampler(np.full(30, 1.7), 8, 3)) for draw in batch
    ]
    assert sorted(rows) == list(range(30))
    assert rows != sorted(rows)


def test_the_copies_of_a_row_are_counted_and_it_resumes_with_the_count() -> None:
    sampler = BalancedSampler(np.array([20.0, *[1.0] * 12]), 4, seed=0)
    whole = epoch_of(sampler, 2)
    draws = [draw for batch in whole for draw in batch]
    assert [draw.copy for draw in draws if draw.row == 0] == list(range(8))
    assert {draw.epoch for draw in draws} == {2}
    assert epoch_of(sampler, 2, step=2) == whole[2:]


def test_processes_share_the_batches_of_one() -> None:
    weights = np.linspace(1, 5, 11)
    whole = epoch_of(BalancedSampler(weights, 4, seed=5), 1)
    shares = [epoch_of(BalancedSampler(weights, 4, 5, rank, world_size=3), 1) for rank in range(3)]
    for i, batch in enumerate(whole):
        parts = [share[i] for share in shares]
        assert len({len(part) for part in parts}) == 1
        joined = [draw for row in zip(*parts, strict=True) for draw in row]
        assert [draw for draw in joined if draw.row != FILLER] == batch


def test_a_batch_needs_a_row_for_each_process() -> None:
    with pytest.raises(InputError, match="batch_size: 1, expected at least one row for each of"):
        BalancedSampler(np.ones(3), 1, 0, world_size=2)


def test_a_row_that_comes_again_is_augmented_anew(table_of) -> None:
    table = table_of(1)
    light = light_transform((32, 32))
    images = ImageDataset(table.path, table.categories, table.targets, light, (32, 32), seed=0)
    views = [images[Draw(0, 0, copy)].images for copy in (0, 1, 2, 1)]
    assert torch.equal(views[1], views[3])
    assert not torch.equal(views[0], views[1])
    assert not torch.equal(views[1], views[2])
    assert torch.equal(views[0], images[Draw(0, 0)].images)
