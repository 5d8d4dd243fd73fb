"""From a config to checked tables: taxonomy, rows, split."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.config import DataConfig
from visual_taxonomy.data.duplicates import fingerprints, group_near_duplicates
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.split import read_split, split_rows, write_split
from visual_taxonomy.data.table import Table, build_taxonomy, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

SPLIT_NAME = "split.csv"
CLASS_COUNTS_NAME = "class_counts.csv"


class Tables(NamedTuple):
    """The rows of a run."""

    taxonomy: Taxonomy
    training: Table
    validation: Table


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
        InputError: A row, the taxonomy or a picture's name is wrong.
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
    """The table cut into training and validation rows.

    A split that is already in the run folder (a resumed run, or another process of this one) is
    used again, then one given by `split_path`; otherwise it is drawn. The run folder keeps it.

    Args:
        table: All labelled rows.
        config: Ratio, seed, whether to group near-duplicate pictures.
        folder: The run folder.
        on_progress: Called with the number of pictures compared so far, and of all.

    Raises:
        InputError: A split file does not fit the table, or a side of the split is empty.
    """
    kept = folder / SPLIT_NAME
    if kept.exists():
        is_validation = read_split(kept, table.ids)
    elif config.split_path is not None:
        is_validation = read_split(config.split_path, table.ids)
    else:
        groups = None
        if config.group_duplicates:
            paths = [table.path(row) for row in range(len(table))]
            prints = fingerprints(paths, config.train_workers, on_progress)
            groups = group_near_duplicates(prints)
        is_validation = split_rows(table.categories, config.val_ratio, config.random_state, groups)
    if is_validation.all() or not is_validation.any():
        side = "training" if is_validation.all() else "validation"
        raise InputError(
            f"{config.csv_path}: the split leaves no row for {side}; "
            f"{len(table)} rows are too few for --val_ratio {config.val_ratio}"
        )
    if not kept.exists():
        write_split(kept, table.ids, is_validation)
    return Tables(
        table.taxonomy,
        table.take(np.flatnonzero(~is_validation)),
        table.take(np.flatnonzero(is_validation)),
    )


def named_class_counts(table: Table) -> dict[str, list[int]]:
    """Task name -> how many rows of the table have each class."""
    counts = (of_task.tolist() for of_task in count_classes(table))
    return dict(zip(table.taxonomy.task_names, counts, strict=True))


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
