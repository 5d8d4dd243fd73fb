from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visual_taxonomy.data.sampler import BATCH_SAMPLINGS, FILLER, BatchSampler, Draw
from visual_taxonomy.errors import InputError

CATEGORIES = st.lists(st.integers(0, 5), max_size=120).map(lambda each: np.array(each, np.int64))
MODES = st.sampled_from(BATCH_SAMPLINGS)
SIZES = st.integers(1, 17)
SEEDS = st.integers(0, 2**40)


def epoch_of(sampler: BatchSampler, epoch: int, step: int = 0) -> list[list[int]]:
    """Rows of the batches of an epoch from a step on."""
    sampler.set_position(epoch, step)
    batches = list(sampler)
    assert all(draw.epoch == epoch for batch in batches for draw in batch)
    return [[draw.row for draw in batch] for batch in batches]


@given(CATEGORIES, SIZES, MODES, SEEDS)
@settings(deadline=None)
def test_each_row_is_drawn_exactly_once_an_epoch(categories, size, mode, seed):
    sampler = BatchSampler(categories, size, mode, seed)
    for epoch in (0, 1):
        batches = epoch_of(sampler, epoch)
        assert sorted(row for batch in batches for row in batch) == list(range(len(categories)))
        assert len(batches) == len(sampler)
        assert all(1 <= len(batch) <= size for batch in batches)


@given(CATEGORIES, SIZES, st.sampled_from(["mixed", "sequential"]), SEEDS)
@settings(deadline=None)
def test_a_batch_is_of_one_category_and_only_its_last_is_smaller(categories, size, mode, seed):
    smaller = Counter()
    for batch in epoch_of(BatchSampler(categories, size, mode, seed), 0):
        (category,) = set(categories[batch].tolist())
        assert smaller[category] == 0
        smaller[category] += len(batch) < size


@given(CATEGORIES, SIZES, SEEDS)
@settings(deadline=None)
def test_sequential_goes_through_one_category_after_the_other(categories, size, seed):
    batches = epoch_of(BatchSampler(categories, size, "sequential", seed), 0)
    order = [int(categories[batch[0]]) for batch in batches]
    changes = sum(one != other for one, other in pairwise(order))
    assert changes == max(0, len(set(order)) - 1)


def test_sequential_begins_with_another_category_in_another_epoch():
    sampler = BatchSampler(np.repeat(np.arange(5), 10), 4, "sequential", seed=0)
    assert {epoch_of(sampler, epoch)[0][0] // 10 for epoch in range(30)} == set(range(5))


@given(CATEGORIES, SIZES, SEEDS)
@settings(deadline=None)
def test_joint_fills_every_batch_but_the_last(categories, size, seed):
    batches = epoch_of(BatchSampler(categories, size, "joint", seed), 0)
    assert len(batches) == -(-len(categories) // size)
    assert all(len(batch) == size for batch in batches[:-1])


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), SIZES, SEEDS)
@settings(deadline=None)
def test_mixed_uses_all_categories_up_in_proportion_at_every_moment(rows, size, seed):
    """After any batch no category is more than a batch (and rounding) off its due share."""
    categories = np.repeat(np.arange(len(rows)), rows)
    batches = epoch_of(BatchSampler(categories, size, "mixed", seed), 0)
    totals = Counter(int(categories[batch[0]]) for batch in batches)
    used: Counter[int] = Counter()
    for done, batch in enumerate(batches, 1):
        used[int(categories[batch[0]])] += 1
        for category, total in totals.items():
            # At moment x of the epoch, used is within 1 of x * total, done within K of x * all.
            slack = 1 + len(totals) * total / len(batches)
            assert abs(used[category] - total * done / len(batches)) <= slack


def test_mixed_ends_with_every_category_not_with_the_largest_only():
    """The original's epochs ended with batches of the largest category alone."""
    categories = np.repeat([0, 1, 2], [3200, 640, 320])
    sampler = BatchSampler(categories, 32, "mixed", seed=0)
    for epoch in range(5):
        last = epoch_of(sampler, epoch)[-30:]
        assert {int(categories[batch[0]]) for batch in last} == {0, 1, 2}


@given(CATEGORIES, SIZES, MODES, SEEDS, st.integers(0, 1000))
@settings(deadline=None)
def test_seed_and_epoch_alone_decide(categories, size, mode, seed, epoch):
    used = BatchSampler(categories, size, mode, seed)
    epoch_of(used, 3)
    np.random.seed(epoch)
    torch.manual_seed(epoch)
    fresh = BatchSampler(categories, size, mode, seed)
    assert epoch_of(used, epoch) == epoch_of(fresh, epoch)


@pytest.mark.parametrize("mode", BATCH_SAMPLINGS)
def test_the_first_epoch_is_shuffled_and_others_differ(mode):
    categories = np.repeat([0, 1], [60, 40])
    orders = [
        [row for batch in epoch_of(BatchSampler(categories, 8, mode, seed), epoch) for row in batch]
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    in_category_0 = [row for row in orders[0] if row < 60]
    assert in_category_0 != sorted(in_category_0)


def test_neighbours_in_a_batch_change_from_epoch_to_epoch():
    sampler = BatchSampler(np.zeros(64, np.int64), 8, "mixed", seed=0)
    first, second = ({frozenset(b) for b in epoch_of(sampler, epoch)} for epoch in (0, 1))
    assert not first & second


@given(CATEGORIES, SIZES, MODES, SEEDS, st.integers(0, 130))
@settings(deadline=None)
def test_a_resumed_epoch_ends_like_the_uninterrupted_one(categories, size, mode, seed, step):
    sampler = BatchSampler(categories, size, mode, seed)
    whole = epoch_of(sampler, 2)
    assert epoch_of(sampler, 2, step) == whole[step:]
    assert len(sampler) == len(whole)


@given(CATEGORIES, st.integers(4, 17), MODES, SEEDS, st.integers(1, 4))
@settings(deadline=None)
def test_the_shares_of_all_processes_unite_to_the_batches_of_one(
    categories, size, mode, seed, world_size
):
    alone = epoch_of(BatchSampler(categories, size, mode, seed), 1)
    samplers = [
        BatchSampler(categories, size, mode, seed, rank, world_size) for rank in range(world_size)
    ]
    assert {len(sampler) for sampler in samplers} == {len(alone)}
    for whole, *shares in zip(alone, *(epoch_of(each, 1) for each in samplers), strict=True):
        assert len({len(share) for share in shares}) == 1
        drawn = [row for turn in zip(*shares, strict=True) for row in turn]
        assert drawn[: len(whole)] == whole
        assert drawn[len(whole) :] == [FILLER] * (len(drawn) - len(whole))
        assert len(drawn) - len(whole) < world_size


def test_a_category_without_rows_is_no_batch():
    sampler = BatchSampler(np.array([0, 0, 5]), 2, "mixed", seed=0)
    assert len(sampler) == 2


def test_the_start_is_epoch_0():
    assert list(BatchSampler(np.array([0]), 2, "mixed", seed=0)) == [[Draw(0, 0)]]


def test_a_loader_of_torch_accepts_it():
    class Rows(torch.utils.data.Dataset):
        def __getitem__(self, draw):
            return draw.row

    sampler = BatchSampler(np.arange(10) % 2, 3, "mixed", seed=0)
    loader = torch.utils.data.DataLoader(Rows(), batch_sampler=sampler, collate_fn=list)
    assert list(loader) == epoch_of(sampler, 0)


def test_an_unknown_mode_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"batch_sampling: 'mixd' is none .* Did you mean 'mixed'"):
        BatchSampler(np.array([0]), 2, "mixd", seed=0)


@pytest.mark.parametrize(("size", "world_size"), [(3, 4), (0, 1), (-5, 1)])
def test_a_batch_needs_a_row_for_each_process(size, world_size):
    with pytest.raises(
        InputError, match=rf"batch_size: {size}, expected at least one row for each"
    ):
        BatchSampler(np.array([0]), size, "mixed", 0, world_size=world_size)
