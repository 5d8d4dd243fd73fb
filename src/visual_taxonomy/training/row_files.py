"""The labelled rows of a run, out of one file or of several that are its parts.

Shapes: N rows.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visual_taxonomy.config import DataConfig
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading, reading_of
from visual_taxonomy.data.split import PARTS, TEST, TRAIN, VALIDATION
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.data.views import starts_of


class Rows(NamedTuple):
    """All rows of a run."""

    table: Table
    parts: np.ndarray
    """[N] int8 part that the file of the row stands for; TRAIN for rows that may be split."""


def add_files(
    table: Table, config: DataConfig, on_note: Callable[[str], None] = lambda note: None
) -> Rows:
    """The rows of `csv_path`, and behind them those of `val_csv_path` and `test_csv_path`.

    Args:
        table: The rows of `csv_path`; its taxonomy is that of the others, too.
        config: Names the other files, and says how their cells are read.
        on_note: As for `read_table`.

    Raises:
        InputError: A row is wrong, or an id or an image stands in two files.
    """
    reading = reading_of(config)
    rows = Rows(table, np.full(len(table), TRAIN, dtype=np.int8))
    paths = {TRAIN: config.csv_path}
    for part, path in ((VALIDATION, config.val_csv_path), (TEST, config.test_csv_path)):
        if path is None:
            continue
        more = read_table(path, config.img_dir, table.taxonomy, reading=reading, on_note=on_note)
        _refuse_repeated(rows, more, path, paths, reading)
        paths[part] = path
        parts = np.concatenate([rows.parts, np.full(len(more), part, dtype=np.int8)])
        rows = Rows(_joined(rows.table, more), parts)
    return rows


def warn_of_duplicates(rows: Rows, groups: np.ndarray, config: DataConfig) -> None:
    """Say how many images of a validation or test file look like those of an earlier file.

    Args:
        rows: All rows.
        groups: [N] group of near-duplicate images of each row.
        config: Names the files.
    """
    for part, path in ((VALIDATION, config.val_csv_path), (TEST, config.test_csv_path)):
        is_of_file = rows.parts == part
        if path is None or not is_of_file.any():
            continue
        # Parts are numbered in the order of the files, so those below are the earlier ones.
        count = int(np.isin(groups[is_of_file], groups[rows.parts < part]).sum())
        if count:
            warnings.warn(
                f"{path}: {count:,} of {int(is_of_file.sum()):,} images are near-duplicates of "
                f"images of {config.csv_path if part == VALIDATION else 'the other files'}; "
                f"the scores of the {PARTS[part]} rows will be too high",
                stacklevel=2,
            )


def _joined(first: Table, second: Table) -> Table:
    return replace(
        first,
        ids=np.concatenate([first.ids, second.ids]),
        categories=np.concatenate([first.categories, second.categories]),
        targets=np.concatenate([first.targets, second.targets]),
        image_names=np.concatenate([first.image_names, second.image_names]),
        # Both or none: the files are read with the same roles.
        texts=None
        if first.texts is None or second.texts is None
        else np.concatenate([first.texts, second.texts]),
        packed={**first.packed, **second.packed},
        starts=_joined_starts(first, second),
    )


def _joined_starts(first: Table, second: Table) -> np.ndarray | None:
    if first.starts is None and second.starts is None:
        return None
    counts = [
        np.ones(len(table), np.int64) if table.starts is None else np.diff(table.starts)
        for table in (first, second)
    ]
    return starts_of(np.concatenate(counts))


def _refuse_repeated(
    rows: Rows, more: Table, path: Path, paths: dict[int, Path], reading: LabelReading
) -> None:
    # By the image where the id names it: 12 and 000012 are one product. Where a column does,
    # products may share an image.
    by_id = bool(reading.image_column or reading.image_pattern)
    known, new = ((t.ids if by_id else t.image_names).tolist() for t in (rows.table, more))
    earlier = dict(zip(known, rows.parts.tolist(), strict=True))
    repeated = [row for row, name in enumerate(new) if name in earlier]
    if repeated:
        first = repeated[0]
        other = paths[earlier[new[first]]]
        raise LabelFile(path, reading).error(
            np.array(repeated),
            "id",
            f"'{more.ids[first]}' is also in {other}; remove it from one of the files",
        )
