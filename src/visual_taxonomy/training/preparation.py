"""From a config to checked tables: taxonomy, rows, split."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.config import DataConfig
from visual_taxonomy.data.duplicates import fingerprints, group_near_duplicates
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.split import TEST, TRAIN, VALIDATION, read_split, split_parts, write_split
from visual_taxonomy.data.table import Table, build_taxonomy, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.data_record import DATA_NAME, write_record
from visual_taxonomy.training.row_files import Rows, warn_of_duplicates
from visual_taxonomy.training.run_folder import SPLIT_NAME

CLASS_COUNTS_NAME = "class_counts.csv"


class Tables(NamedTuple):
    """The rows of a run."""

    taxonomy: Taxonomy
    training: Table
    validation: Table
    test: Table | None = None
    """Rows that nothing is chosen by; None without any."""


def read_labelled_table(
    csv_path: Path,
    img_dir: Path,
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
    parts = choose_parts(rows, config, kept if kept.exists() else None, on_progress)
    return cut_table(table, parts, config)


def choose_parts(
    rows: Rows,
    config: DataConfig,
    kept: Path | None,
    on_progress: Callable[[int, int], None] | None = None,
    accept_other_ids: bool = False,
) -> np.ndarray:
    """[N] part of each row: that of a kept split, of its file, of `split_path`, or a drawn one.

    Args:
        rows: All labelled rows, and what their files say.
        config: Ratios, seed, whether to group near-duplicate images.
        kept: The split of a run that is resumed.
        on_progress: Called with the number of images compared so far, and of all.
        accept_other_ids: Whether the kept split may be of other rows; new ones are trained on.

    Warns:
        UserWarning: Images of one file are near-duplicates of images of another.

    Raises:
        InputError: A split file does not fit the table.
    """
    table, parts = rows.table, rows.parts.copy()
    if kept is not None:
        return read_split(kept, table.ids, accept_other_ids)
    to_split = np.flatnonzero(parts == TRAIN)
    groups = None
    if config.group_duplicates and (config.split_path is None or len(to_split) < len(table)):
        paths = [table.path(row) for row in range(len(table))]
        groups = group_near_duplicates(fingerprints(paths, config.train_workers, on_progress))
        warn_of_duplicates(rows, groups, config)
    if config.split_path is not None:
        parts[to_split] = read_split(config.split_path, table.ids[to_split])
    else:
        parts[to_split] = split_parts(
            table.categories[to_split],
            0.0 if config.val_csv_path else config.val_ratio,
            config.test_ratio,
            config.random_state if config.split_seed is None else config.split_seed,
            None if groups is None else groups[to_split],
        )
    return parts


def cut_table(table: Table, parts: np.ndarray, config: DataConfig) -> Tables:
    """The table cut by the part [N] of each row.

    Raises:
        InputError: A part that is wanted is empty.
    """
    wants_test = bool(config.test_ratio or config.test_csv_path or (parts == TEST).any())
    for part, name, flag in (
        (TRAIN, "training", f"`val_ratio={config.val_ratio}`"),
        (VALIDATION, "validation", f"`val_ratio={config.val_ratio}`"),
        (TEST, "test", f"`test_ratio={config.test_ratio}`"),
    ):
        if not (parts == part).any() and (part != TEST or wants_test):
            raise InputError(
                f"{config.csv_path}: the split leaves no row for {name}; "
                f"{len(table)} rows are too few for {flag}"
            )
    return Tables(
        table.taxonomy,
        table.take(np.flatnonzero(parts == TRAIN)),
        table.take(np.flatnonzero(parts == VALIDATION)),
        table.take(np.flatnonzero(parts == TEST)) if wants_test else None,
    )


def named_class_counts(table: Table) -> dict[str, list[int]]:
    """Task name -> how many rows of the table have each class."""
    counts = (of_task.tolist() for of_task in count_classes(table))
    return dict(zip(table.taxonomy.task_names, counts, strict=True))


def write_rows(folder: Path, seen: pl.DataFrame, parts: np.ndarray, training: Table) -> int:
    """Write split.csv, data.parquet and class_counts.csv; returns how many classes have no label.

    Args:
        folder: The run folder.
        seen: All rows, as `record` gives them.
        parts: [N] part of each.
        training: The training rows.

    Raises:
        InputError: The disk is full.
    """
    write_split(folder / SPLIT_NAME, seen["id"].to_list(), parts)
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
