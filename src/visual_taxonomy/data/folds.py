"""Cut the rows into folds for cross-validation.

Shapes: N rows, G groups (near-duplicate images), K categories, F folds.
"""

import numpy as np

from visual_taxonomy.data.split import members_of

NO_FOLD = -1
"""Fold of the rows that every fold trains on and none holds out."""


def split_folds(
    categories: np.ndarray, folds: int, random_state: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """[N] int64 fold of each row, 0 ... F - 1: whole groups, each category spread evenly.

    Groups are gone through from the largest to the smallest, those of one size in random order;
    each joins the fold where it adds least to sum_f sum_k rows[f, k]^2. A category that would
    stand in one fold alone could not be trained on there: its rows get `NO_FOLD`.

    Args:
        categories: [N] index of the category.
        folds: F, at least 2.
        random_state: Seed.
        groups: [N] group of each row; without it every row is its own.

    Example:
        >>> of_rows = split_folds(np.array([0] * 6 + [1] * 3), 3, random_state=0)
        >>> [np.bincount(of_rows[:6]).tolist(), np.bincount(of_rows[6:]).tolist()]
        [[2, 2, 2], [1, 1, 1]]
    """
    # Numbered from 0 without gaps: given are the numbers of first rows.
    groups = np.arange(len(categories)) if groups is None else np.unique(groups, True, True)[2]
    members = members_of(categories, groups)
    # Lists: the loop below reads and adds single numbers, which is slow in NumPy.
    loads = np.zeros((folds, int(categories.max(initial=-1)) + 1), dtype=np.int64).tolist()
    totals = [0] * folds
    fold_of = np.full(len(members), NO_FOLD, dtype=np.int64)
    order = np.random.default_rng(random_state).permutation(len(members))
    sizes = np.bincount(groups, minlength=len(members))[order]
    # Stable, so that groups of one size stay in the random order.
    for group in order[np.argsort(-sizes, kind="stable")].tolist():
        # (load + n)^2 - load^2 = 2 load n + n^2, of which only the first term differs between
        # folds.
        added = [sum(load[k] * n for k, n in members[group]) for load in loads]
        # Totals break ties, which each new category brings: fold 0 would get all that are rare.
        fold = min(range(folds), key=lambda f: (added[f], totals[f]))
        fold_of[group] = fold
        for k, n in members[group]:
            loads[fold][k] += n
            totals[fold] += n
    of_rows = fold_of[groups]
    counts = np.asarray(loads)
    # An index without any row is among them, and matches no row below.
    alone = np.flatnonzero(counts.max(axis=0, initial=0) == counts.sum(axis=0))
    # The whole group: a part of it in training would show the rest.
    kept = np.isin(groups, groups[np.isin(categories, alone)])
    return np.where(kept, NO_FOLD, of_rows)
