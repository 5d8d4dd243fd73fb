"""Folds for cross-validation; scikit-learn's StratifiedGroupKFold is the oracle of the spread."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from visual_taxonomy.data.folds import NO_FOLD, split_folds


def catalogue(seed: int, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    categories = random.choice(4, rows, p=[0.6, 0.3, 0.08, 0.02])
    # Near-duplicates are mostly of one category.
    groups = categories * rows + random.integers(0, 60, rows)
    return categories, groups


def unevenness(categories: np.ndarray, folds: np.ndarray) -> float:
    counts = np.array([np.bincount(categories[folds == f], minlength=4) for f in range(5)])
    return float(np.abs(counts / counts.sum(axis=0) - 0.2).max(axis=0)[:3].mean())


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_spread_at_least_as_evenly_as_those_of_scikit_learn(seed: int) -> None:
    categories, groups = catalogue(seed)
    ours = split_folds(categories, 5, seed, groups)
    theirs = np.empty(len(categories), dtype=int)
    parts = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(parts.split(categories, categories, groups)):
        theirs[held_out] = fold
    assert unevenness(categories, ours) <= unevenness(categories, theirs)


def test_a_group_is_in_one_fold() -> None:
    categories, groups = catalogue(0)
    folds = split_folds(categories, 5, 1, groups)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in np.unique(groups))


def test_rows_without_groups_are_spread_to_the_row() -> None:
    folds = split_folds(np.array([0] * 11 + [1] * 7), 3, 0)
    assert sorted(np.bincount(folds[:11]).tolist()) == [3, 4, 4]
    assert sorted(np.bincount(folds[11:]).tolist()) == [2, 2, 3]
    assert np.bincount(folds).tolist() == [6, 6, 6]


def test_another_seed_gives_other_folds_and_the_same_seed_the_same() -> None:
    categories, groups = catalogue(0)
    one, again, other = (split_folds(categories, 5, seed, groups) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist() != other.tolist()


def test_a_category_of_one_group_is_always_trained_on() -> None:
    categories = np.array([0, 0, 0, 0, 1, 1, 2])
    groups = np.array([0, 1, 2, 3, 4, 4, 0])
    folds = split_folds(categories, 2, 0, groups)
    # Row 0 goes with its near-duplicate, the only row of category 2.
    assert folds[[0, 4, 5, 6]].tolist() == [NO_FOLD] * 4
    assert sorted(np.bincount(folds[1:4]).tolist()) == [1, 2]


def test_no_rows_have_no_folds() -> None:
    assert split_folds(np.array([], dtype=np.int64), 3, 0).tolist() == []
