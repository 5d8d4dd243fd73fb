import numpy as np
import pytest

from visual_taxonomy.decision.folds import assign_folds
from visual_taxonomy.errors import InputError


def test_groups_stay_together_and_categories_are_spread():
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 300, 1000)
    categories = groups % 3
    folds = assign_folds(categories, groups, 5, seed=0)
    for group in range(300):
        assert len(set(folds[groups == group])) <= 1
    for category in range(3):
        counts = np.bincount(folds[categories == category], minlength=5)
        assert counts.max() - counts.min() <= np.bincount(groups).max()


def test_the_seed_decides():
    zeros, rows = np.zeros(50, dtype=int), np.arange(50)
    first, again, other = (assign_folds(zeros, rows, 5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_fewer_groups_than_folds_are_a_fold_each():
    assert sorted(assign_folds(np.zeros(3, dtype=int), np.arange(3), 5, 0).tolist()) == [0, 1, 2]


def test_folds_and_products_are_at_least_two():
    with pytest.raises(InputError, match="folds: 1, expected 2 or more"):
        assign_folds(np.zeros(3, dtype=int), np.arange(3), 1, 0)
    for rows in (0, 1, 4):
        with pytest.raises(InputError, match="at least 2"):
            assign_folds(np.zeros(rows, dtype=int), np.zeros(rows, dtype=int), 5, 0)
