"""From a config to checked tables: taxonomy, rows, split."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.data.duplicates import group_rows
from visual_taxonomy.data.folds import split_folds
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading, reading_of
from visual_taxonomy.data.split import (
    TEST,
    TRAIN,
    VALIDATION,
    read_groups,
    read_split,
    split_parts,
    write_split,
)
from visual_taxonomy.data.table import Table, build_taxonomy, read_table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.data_record import DATA_NAME, write_record
from visual_taxonomy.training.row_files import Rows, warn_of_duplicates
from visual_taxonomy.training.run_folder import SPLIT_NAME

CLASS_COUNTS_NAME = "class_counts.csv"


class Split(NamedTuple):
    """What each row of a run is for."""

    parts: np.ndarray
    """[N] int8 `TRAIN`, `VALIDATION` or `TEST`."""
    groups: np.ndarray | None = None
    """[N] int64 group of near-duplicate images; None where they were not compared."""


class Tables(NamedTuple):
    """The rows of a run."""

    taxonomy: Taxonomy
    training: Table
    validation: Table
    test: Table | None = None
    """Rows that nothing is chosen by; None without any."""
    groups: np.ndarray | None = None
    """Near-duplicate groups of the validation rows; None: each row is its own."""

    def held_out(self, probabilities: np.ndarray) -> HeldOut:
        """The validation rows with what a model makes of them.

        Args:
            probabilities: [N, A, C] float32 of the N validation rows.
        """
        rows = self.validation
        return HeldOut(
            self.taxonomy,
            named_class_counts(self.training),
            rows.ids,
            rows.categories,
            np.arange(len(rows)) if self.groups is None else self.groups,
            probabilities,
            rows.targets,
        )


def read_labelled_table(
    csv_path: Path,
    img_dir: Path | None,
    attributes_config: Path | None,
    parq_path: Path | None,
    reading: LabelReading | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Table:
    """Read and check the rows, with the given taxonomy or one built from the CSV.

    `reading` and `on_note` as for `read_table`.

    Raises:
        InputError: A row, the taxonomy or an image's name is wrong.
    """
    reading = reading or LabelReading()
    if attributes_config is None:
        taxonomy = build_taxonomy(csv_path, parq_path, reading)
    else:
        taxonomy = Taxonomy.read(attributes_config, reading.missing_values)
    return read_table(csv_path, img_dir, taxonomy, reading=reading, on_note=on_note)


def with_rare_labels(config: TrainConfig) -> TrainConfig:
    """The run with the labels that `min_rows` makes rare, counted once in its training CSV.

    Its other files, its resumed runs and its checkpoints read the same labels alike, however many
    rows they have there.

    Raises:
        InputError: The training CSV cannot be read.
    """
    return replace(config, data=settle_rare_labels(config.data))


def settle_rare_labels(data: DataConfig) -> DataConfig:
    """The same for the settings of the rows.

    Raises:
        InputError: The training CSV cannot be read.
    """
    if data.min_rows is None:
        return data
    rare = LabelFile(data.csv_path, reading_of(data)).rare_labels
    return replace(data, min_rows=None, rare_class=None, rare_labels=rare)


def split_table(
    table: Table,
    config: DataConfig,
    folder: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tables:
    """The rows of one file, cut as a run in `folder` has cut them or would cut them.

    Raises:
        InputError: A split file does not fit the table, or a part of the split is empty.
    """
    kept = folder / SPLIT_NAME
    rows = Rows(table, np.full(len(table), TRAIN, dtype=np.int8))
    split = choose_split(rows, config, kept if kept.exists() else None, on_progress)
    return cut_table(table, split, config)


def choose_split(
    rows: Rows,
    config: DataConfig,
    kept: Path | None,
    on_progress: Callable[[int, int], None] | None = None,
    accept_other_ids: bool = False,
    groups_path: Path | None = None,
) -> Split:
    """The part of each row: that of a kept split, of its file, of `split_path`, or a drawn one.

    Args:
        rows: All labelled rows, and what their files say.
        config: Ratios, folds, seed, whether to group near-duplicate images.
        kept: The split of a run that is resumed.
        on_progress: Called with the number of images compared so far, and of all.
        accept_other_ids: Whether the kept split may be of other rows; new ones are trained on.
        groups_path: The split of another run on the same rows, for its groups; without it, the
            images are compared.

    Warns:
        UserWarning: Images of one file are near-duplicates of images of another.

    Raises:
        InputError: A split file does not fit the table.
    """
    table, parts = rows.table, rows.parts.copy()
    if kept is not None:
        parts = read_split(kept, table.ids, accept_other_ids)
        return Split(parts, read_groups(kept, table.ids))
    # Rows of a validation or test file keep the part of their file; only the others are cut.
    to_split = np.flatnonzero(parts == TRAIN)
    groups = None
    # A split file is taken as it is. Of several files it is worth knowing how much they overlap.
    needs_groups = config.split_path is None or len(to_split) < len(table)
    if config.final and not config.test_ratio:
        needs_groups = False  # no part to keep them apart from
    if config.group_duplicates and needs_groups:
        groups = _group(table, config, on_progress, groups_path)
        warn_of_duplicates(rows, groups, config)
    if config.split_path is not None:
        parts[to_split] = read_split(config.split_path, table.ids[to_split])
        groups = read_groups(config.split_path, table.ids) if groups is None else groups
    else:
        of_rest = None if groups is None else groups[to_split]
        parts[to_split] = _drawn_parts(table.categories[to_split], of_rest, config)
    return Split(parts, groups)


def _group(
    table: Table,
    config: DataConfig,
    on_progress: Callable[[int, int], None] | None,
    groups_path: Path | None,
) -> np.ndarray:
    kept = None if groups_path is None else read_groups(groups_path, table.ids)
    if kept is not None:
        return kept
    return group_rows(table, config.train_workers, on_progress)


def _drawn_parts(
    categories: np.ndarray, groups: np.ndarray | None, config: DataConfig
) -> np.ndarray:
    seed = config.random_state if config.split_seed is None else config.split_seed
    if config.folds is not None:
        is_held_out = split_folds(categories, config.folds, seed, groups) == config.fold
        return np.where(is_held_out, VALIDATION, TRAIN).astype(np.int8)
    val_ratio = 0.0 if config.val_csv_path or config.final else config.val_ratio
    return split_parts(categories, val_ratio, config.test_ratio, seed, groups)


def cut_table(table: Table, split: Split, config: DataConfig) -> Tables:
    """The table cut by the part of each row.

    Raises:
        InputError: A part that is wanted is empty.
    """
    parts = split.parts
    groups = np.arange(len(table)) if split.groups is None else split.groups
    wants_test = bool(config.test_ratio or config.test_csv_path or (parts == TEST).any())
    share = f"`folds={config.folds}`" if config.folds else f"`val_ratio={config.val_ratio}`"
    for part, name, flag in (
        (TRAIN, "training", share),
        (VALIDATION, "validation", share),
        (TEST, "test", f"`test_ratio={config.test_ratio}`"),
    ):
        wanted = {TEST: wants_test, VALIDATION: not config.final}.get(part, True)
        if wanted and not (parts == part).any():
            alike, count = "", len(np.unique(groups))
            if count < len(table):
                alike = f" with {count} different images (near-duplicates stay together)"
            raise InputError(
                f"{config.csv_path}: the split leaves no row for {name}; "
                f"{len(table)} rows{alike} are too few for {flag}"
            )
    return Tables(
        table.taxonomy,
        table.take(np.flatnonzero(parts == TRAIN)),
        table.take(np.flatnonzero(parts == VALIDATION)),
        table.take(np.flatnonzero(parts == TEST)) if wants_test else None,
        groups[parts == VALIDATION],
    )


def named_class_counts(table: Table) -> dict[str, list[int]]:
    """Task name -> how many rows of the table have each class."""
    counts = (of_task.tolist() for of_task in count_classes(table))
    return dict(zip(table.taxonomy.task_names, counts, strict=True))


def write_rows(folder: Path, seen: pl.DataFrame, split: Split, training: Table) -> int:
    """Write split.csv, data.parquet and class_counts.csv; returns how many classes have no label.

    Args:
        folder: The run folder.
        seen: All rows, as `record` gives them.
        split: What each of them is for.
        training: The training rows.

    Raises:
        InputError: The disk is full.
    """
    write_split(folder / SPLIT_NAME, seen["id"].to_list(), *split)
    write_record(folder / DATA_NAME, seen)
    return write_class_counts(folder / CLASS_COUNTS_NAME, training)


def write_class_counts(path: Path, table: Table) -> int:
    """Write counts and priors of every class, as losses and schedules use them.

    Args:
        path: CSV: category, attribute, class, count, prior (its share of the task's labels).
        table: The training rows.

    Returns:
        How many classes have no label.
    """
    absent = 0
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["category", "attribute", "class", "count", "prior"])
        for task, counts in zip(table.taxonomy.tasks, count_classes(table), strict=True):
            absent += int((counts == 0).sum())
            # A task without any label has priors of 0, not 0 / 0.
            priors = (counts / counts.sum().clamp(min=1)).tolist()
            for name, count, prior in zip(task.classes, counts.tolist(), priors, strict=True):
                writer.writerow([task.category, task.attribute, name, count, f"{prior:.6g}"])
    return absent


def count_classes(table: Table) -> list[Tensor]:
    """[T] tensors [C]: how many rows of the table have each class of each task."""
    return [
        torch.from_numpy(np.asarray(table.class_counts(task)))
        for task in range(len(table.taxonomy.tasks))
    ]
