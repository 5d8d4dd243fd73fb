"""Where the images of a run are whose training CSV has them, or their names, in columns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from visual_taxonomy.config import DataConfig
from visual_taxonomy.config_values import from_dict
from visual_taxonomy.data.image_paths import ImagePaths, LeadsOutside
from visual_taxonomy.data.image_pattern import ImagePattern
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import reading_of
from visual_taxonomy.data.parquet_images import Cell, read_cells
from visual_taxonomy.data.row_images import split_cells
from visual_taxonomy.errors import InputError


def named_picture_finder(
    settings: Mapping[str, Any], folder: Path | None
) -> Callable[[str], ImageSource | None] | None:
    """The image of an id, of several the first; None if the CSV or the folder is no longer there.

    Args:
        settings: The section `data` of the run's config.
        folder: Of the images; None where the CSV holds them.
    """
    try:
        config = from_dict(DataConfig, settings)
        images = None if folder is None else ImagePaths(folder)
        rows: dict[str, tuple[LabelFile, int]] = {}
        for csv_path in (config.csv_path, config.val_csv_path, config.test_csv_path):
            if csv_path is not None:
                file = LabelFile(csv_path, reading_of(config))
                rows |= {product: (file, row) for row, product in enumerate(file.column("id"))}
    except InputError:
        return None

    def find(product_id: str) -> ImageSource | None:
        if product_id not in rows:
            return None
        file, row = rows[product_id]
        pattern = file.roles.image_pattern
        if pattern is not None and folder is not None:
            names = ImagePattern(folder, pattern).find(product_id)
            return folder / names[0] if names else None
        cell = _first(file, row)
        if cell.path is None or images is None or folder is None:
            return cell.content
        try:
            name = images.find(cell.path)
        except LeadsOutside:
            return None
        return None if name is None else folder / name

    return find


def _first(file: LabelFile, row: int) -> Cell:
    """The first image of a product in its first row."""
    first = int(np.flatnonzero(file.product_of == row)[0])
    for column, paths in file.images.items():
        if paths is None:
            # A single row is read; copying them all, as for training, would take longer.
            (_, cells), *_ = read_cells(file.path, column, file.source_rows[[first]])
        else:
            (names,) = split_cells(paths[[first]], None)
            cells = [Cell(path=name) for name in names if name]
        if cells:
            return cells[0]
    return Cell()
