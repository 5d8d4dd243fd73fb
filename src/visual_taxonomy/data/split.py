"""Which rows are for what: chosen by category and seed, written to a file and read back.

Shapes: N rows, G groups (near-duplicate images), K categories.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

TRAIN, VALIDATION, TEST = 0, 1, 2
"""The parts of a split, as they are numbered in arrays."""

PARTS = ("train", "validation", "test")
"""Their names, the values of the column `split`."""


def split_parts(
    categories: np.ndarray,
    val_ratio: float,
    test_ratio: float,
    random_state: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """[N] int8 part of each row: `split_rows` for validation, then for test among the rest.

    The validation rows are the same whatever `test_ratio` is.

    Args:
        categories: [N] index of the category.
        val_ratio: Share of the rows for validation; 0 for none.
        test_ratio: Share of the rows for test; 0 for none.
        random_state: Seed.
        groups: [N] group of each row; without it every row is its own.

    Raises:
        InputError: A ratio is not between 0 and 1.
    """
    parts = np.full(len(categories), TRAIN, dtype=np.int8)
    if val_ratio:
        parts[split_rows(categories, val_ratio, random_state, groups)] = VALIDATION
    if test_ratio:
        rest = np.flatnonzero(parts == TRAIN)
        of_rest = None if groups is None else groups[rest]
        # Of what validation has left, so that both are shares of all rows.
        share = test_ratio / (1 - val_ratio)
        # Another stream: with the seed itself, the same places of the order would be drawn again.
        is_test = split_rows(categories[rest], share, (random_state, TEST), of_rest)
        parts[rest[is_test]] = TEST
    return parts


def split_rows(
    categories: np.ndarray,
    val_ratio: float,
    random_state: int | tuple[int, ...],
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """[N] bool, True for validation: a share of each category, whole groups only.

    Groups are gone through in random order; one goes to validation if that brings the numbers of
    its categories nearer to `val_ratio`. A category thus ends within half a group of its share
    (unless groups span categories), and always keeps a row for training.

    Args:
        categories: [N] index of the category.
        val_ratio: Share of the rows for validation, between 0 and 1.
        random_state: Seed.
        groups: [N] group of each row; without it every row is its own.

    Raises:
        InputError: `val_ratio` is not between 0 and 1.

    Example:
        >>> is_validation = split_rows(np.array([0] * 10 + [1] * 5), 0.2, random_state=0)
        >>> is_validation[:10].sum(), is_validation[10:].sum()
        (np.int64(2), np.int64(1))
    """
    if not 0 < val_ratio < 1:
        raise InputError(
            f"val_ratio: {val_ratio}, expected a share between 0 and 1, such as 0.2; "
            "to score a whole file use `vtax evaluate`"
        )
    # Numbered from 0 without gaps: given are the numbers of first rows.
    groups = np.arange(len(categories)) if groups is None else np.unique(groups, True, True)[2]
    rows = np.bincount(categories)
    # Rows still to be chosen of each category; the split is stratified by these.
    missing = (val_ratio * rows).tolist()
    spare = rows.tolist()
    members = members_of(categories, groups)
    chosen = np.zeros(len(members), dtype=bool)
    # Whole groups of near-duplicates, or a model would be tested on what it was trained on.
    for group in np.random.default_rng(random_state).permutation(len(members)).tolist():
        counts = members[group]
        nearer = sum(abs(missing[k]) - abs(missing[k] - n) for k, n in counts) > 0
        # Never the last rows of a category: it would have nothing to train on.
        if nearer and all(spare[k] > n for k, n in counts):
            chosen[group] = True
            for k, n in counts:
                missing[k] -= n
                spare[k] -= n
    return chosen[groups]


def members_of(categories: np.ndarray, groups: np.ndarray) -> list[list[tuple[int, int]]]:
    """[G] lists of (category, rows of it in the group); groups are numbered from 0."""
    members: list[list[tuple[int, int]]] = [[] for _ in range(int(groups.max(initial=-1)) + 1)]
    pairs, counts = np.unique(np.stack([groups, categories]), axis=1, return_counts=True)
    for group, category, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        members[group].append((category, count))
    return members


def write_split(
    path: Path,
    ids: Sequence[str] | np.ndarray,
    parts: np.ndarray,
    groups: np.ndarray | None = None,
) -> None:
    """Write a split as CSV with the columns `id`, `split` (one of `PARTS`) and, if known, `group`.

    Args:
        path: The file.
        ids: [N] ids.
        parts: [N] `TRAIN`, `VALIDATION` or `TEST`.
        groups: [N] near-duplicate group of each row; written as the id of its first row.

    Raises:
        InputError: The disk is full.
    """
    names = np.array(PARTS)[np.asarray(parts, dtype=np.int8)]
    columns = {"id": list(map(str, ids)), "split": names.tolist()}
    if groups is not None:
        first_of = np.unique(groups, return_index=True, return_inverse=True)
        columns["group"] = [str(ids[row]) for row in first_of[1][first_of[2]]]
    frame = pl.DataFrame(columns)
    with write_atomically(path) as temporary:
        frame.write_csv(temporary)


def read_split(
    path: Path, ids: Sequence[str] | np.ndarray, accept_other_ids: bool = False
) -> np.ndarray:
    """[N] int8 parts, in the order of `ids`, from a file of `write_split`.

    Args:
        path: The file.
        ids: [N] ids.
        accept_other_ids: Ignore ids that are not among `ids`, and train on those that the file
            does not have; otherwise both are errors.

    Raises:
        InputError: The file cannot be used: a column is missing, a value is none of `PARTS`, or
            its ids are not exactly `ids`.
    """
    file = LabelFile(path, LabelReading(missing_values=()))  # an id may be called NA
    given, splits = file.column("id"), file.column("split")
    wrong = np.flatnonzero(~splits.is_in(list(PARTS)).to_numpy())
    if len(wrong):
        value = splits[int(wrong[0])]
        expected = f"'{PARTS[TRAIN]}', '{PARTS[VALIDATION]}' or '{PARTS[TEST]}'"
        raise file.error(wrong, "split", f"'{value}', expected {expected}")
    repeated = np.flatnonzero(~given.is_first_distinct().to_numpy())
    if len(repeated):
        value = given[int(repeated[0])]
        raise file.error(repeated, "id", f"'{value}' appears twice; remove one of the rows")
    wanted = pl.Series([str(each) for each in ids], dtype=pl.String)
    if not accept_other_ids:
        _check_ids(file, given, wanted)
    by_id = dict(zip(given.to_list(), map(PARTS.index, splits.to_list()), strict=True))
    # Ids without a part are left only if `accept_other_ids` allows them.
    return np.array([by_id.get(each, TRAIN) for each in wanted], dtype=np.int8)


def read_groups(path: Path, ids: Sequence[str] | np.ndarray) -> np.ndarray | None:
    """[N] int64 near-duplicate groups of `write_split`; None from a file without them.

    A group is the number of its first row. An id that the file does not have is its own.

    Args:
        path: The file.
        ids: [N] ids.
    """
    file = LabelFile(path, LabelReading(missing_values=()))
    if "group" not in file.columns:
        return None
    by_id = dict(zip(file.column("id").to_list(), file.column("group").to_list(), strict=True))
    # An empty cell is no group: all rows with one would otherwise be a single group.
    names = [by_id.get(str(each)) or str(each) for each in ids]
    _, firsts, group_of = np.unique(names, return_index=True, return_inverse=True)
    # Numbered as `group_near_duplicates` does: a seed then draws the same folds from both.
    return firsts[group_of].astype(np.int64)


def _check_ids(file: LabelFile, given: pl.Series, wanted: pl.Series) -> None:
    # Imploded: with a bare column of its own type, polars calls `is_in` ambiguous and deprecates
    # it.
    unknown = np.flatnonzero(~given.is_in(wanted.implode()).to_numpy())
    if len(unknown):
        value = given[int(unknown[0])]
        raise file.error(
            unknown, "id", f"'{value}' is not in the catalogue; use the split made from this file"
        )
    missing = wanted.filter(~wanted.is_in(given.implode()))
    if len(missing):
        raise InputError(
            f"{file.path}: {len(missing):,} of {len(wanted):,} ids of the catalogue are missing, "
            f"first '{missing[0]}'; add them, or leave `split_path` out to make a new split"
        )
