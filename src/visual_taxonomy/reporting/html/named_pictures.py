"""Where the images of a run are whose training CSV names them in a column."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from visual_taxonomy.config import DataConfig
from visual_taxonomy.config_values import from_dict
from visual_taxonomy.data.image_paths import ImagePaths, LeadsOutside
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import reading_of
from visual_taxonomy.errors import InputError


def named_picture_finder(
    settings: Mapping[str, Any], folder: Path
) -> Callable[[str], Path | None] | None:
    """Where the image of an id is; None if the CSV or the folder is no longer there.

    Args:
        settings: The section `data` of the run's config.
        folder: Of the images.
    """
    try:
        config = from_dict(DataConfig, settings)
        images = ImagePaths(folder)
        paths: dict[str, str] = {}
        for csv_path in (config.csv_path, config.val_csv_path, config.test_csv_path):
            if csv_path is not None:
                file = LabelFile(csv_path, reading_of(config))
                names = [] if file.image_paths is None else file.image_paths.to_list()
                paths |= dict(zip(file.column("id").to_list(), names, strict=False))
    except InputError:
        return None

    def find(product_id: str) -> Path | None:
        try:
            name = images.find(paths.get(product_id, ""))
        except LeadsOutside:
            return None
        return None if name is None else folder / name

    return find
