"""Where the images of a run are whose training CSV has them, or their names, in columns."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from visual_taxonomy.config import DataConfig
from visual_taxonomy.config_values import from_dict
from visual_taxonomy.data.image_paths import ImagePaths, LeadsOutside
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import reading_of
from visual_taxonomy.data.parquet_images import Cell, read_cells
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
        cell = _first(*rows[product_id])
        if cell.path is None or images is None or folder is None:
            return cell.content
        try:
            name = images.find(cell.path)
        except LeadsOutside:
            return None
        return None if name is None else folder / name

    return find


def _first(file: LabelFile, row: int) -> Cell:
    for column, paths in file.images.items():
        if paths is not None:
            return Cell(path=paths[row])
        # A single row is read; copying them all, as for training, would take longer.
        (_, cells), *_ = read_cells(file.path, column, file.source_rows[[row]])
        return cells[0] if cells else Cell()
    return Cell()
