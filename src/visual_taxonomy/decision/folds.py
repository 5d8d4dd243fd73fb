"""Folds of held-out rows: whole groups, every category spread over all of them.

Shapes: N rows.
"""

import numpy as np

from visual_taxonomy.errors import InputError


def assign_folds(
    categories: np.ndarray, groups: np.ndarray, num_folds: int, seed: int
) -> np.ndarray:
    """[N] int64 fold of each row.

    Groups are gone through in random order, the largest first; each goes to the fold that has the
    fewest rows of its category (that of its first row), then the fewest rows.

    Args:
        categories: [N] category indices.
        groups: [N]; rows of one group get one fold.
        num_folds: 2 or more.
        seed: Of the order.

    Raises:
        InputError: Fewer than 2 folds, or fewer groups than 2.

    Example:
        >>> folds = assign_folds(np.zeros(6, int), np.array([0, 0, 1, 2, 3, 3]), 2, seed=0)
        >>> bool(folds[0] == folds[1]), np.bincount(folds).tolist()
        (True, [3, 3])
    """
    if num_folds < 2:
        raise InputError(f"folds: {num_folds}, expected 2 or more; 5 is usual")
    _, firsts, places, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    if len(sizes) < 2:
        raise InputError(
            f"{len(sizes)} held-out products cannot be told from their near-duplicates; "
            "a decision is fitted on at least 2, better on hundreds"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    # Large groups first, while small ones are left to even out the folds. The sort is stable, so
    # that groups of one size stay in random order.
    order = order[np.argsort(-sizes[order], kind="stable")]
    of_category = np.zeros((int(categories.max()) + 1, num_folds), dtype=np.int64)
    of_all = np.zeros(num_folds, dtype=np.int64)
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for group in order.tolist():
        category = categories[firsts[group]]
        # The last key counts first. Ties go to the lowest number, so that the folds in use are
        # 0, 1, ... without a gap, however few groups there are.
        fold = np.lexsort((of_all, of_category[category]))[0]
        fold_of[group] = fold
        of_category[category, fold] += sizes[group]
        of_all[fold] += sizes[group]
    return fold_of[places]
