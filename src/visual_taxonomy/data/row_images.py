"""Which images each row of a catalogue has, by its ids or by its image columns.

Shapes: N rows, V images.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.data.image_folder import ImageFolder
from visual_taxonomy.data.image_paths import find_named_images
from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.packed_images import PackedImages
from visual_taxonomy.data.parquet_images import pack_column
from visual_taxonomy.errors import InputError, shown

MissingImages = Literal["error", "keep"]
"""What to do with a row without an image: refuse it, or keep it as one that cannot be read."""


class RowImages(NamedTuple):
    """The images of N rows; see `ImageList`."""

    names: np.ndarray
    """[V] str."""
    packed: dict[str, PackedImages]


def find_images(
    file: LabelFile,
    ids: Sequence[str],
    img_dir: Path | None,
    missing_images: MissingImages,
    on_note: Callable[[str], None] = lambda note: None,
) -> RowImages:
    """The images of all rows.

    Args:
        file: The rows.
        ids: [N] their ids.
        img_dir: The folder of the images; None where the file holds them.
        missing_images: "error", or "keep" rows without an image.
        on_note: As for `find_named_images`.

    Raises:
        InputError: An image is missing, or its name cannot be used; or there is no folder.
    """
    if not file.images:
        names = _by_id(file, ids, _folder(file, img_dir), missing_images)
        return RowImages(np.array(names), {})
    (column, paths), *_ = file.images.items()
    packed: dict[str, PackedImages] = {}
    if paths is None:
        packed, cells = pack_column(file.path, column, file.source_rows)
        paths = pl.Series([cell[0] for cell in cells], dtype=pl.String)
    is_file = ~paths.str.starts_with("\0").to_numpy()
    found = np.array(paths.to_list(), dtype=object)
    if is_file.any():
        rows = np.flatnonzero(is_file)
        folder = _folder(file, img_dir)
        found[rows] = find_named_images(
            file, rows, column, paths.filter(is_file), folder, missing_images, on_note
        )
    return RowImages(found.astype(np.str_), packed)


def _folder(file: LabelFile, img_dir: Path | None) -> Path:
    if img_dir is not None:
        return img_dir
    where = "named by column" if file.images else "named by the ids"
    columns = "".join(f" '{shown(name)}'" for name in file.images)
    raise InputError(
        f"{file.path}: its images are files, {where}{columns}; name their folder (`img_dir`), or "
        f"the column of a Parquet file that holds images (`image_column`){_hint(file)}"
    )


def _by_id(
    file: LabelFile, ids: Sequence[str], img_dir: Path, missing_images: MissingImages
) -> list[str]:
    folder = ImageFolder(img_dir)
    names = [folder.find(product_id) for product_id in ids]
    missing = [row for row, name in enumerate(names) if name is None]
    if missing and missing_images == "error":
        first = ids[missing[0]]
        column = shown(file.roles.id_column)
        raise InputError(
            f"{file.path}, row {file.line(missing[0])}, column '{column}': '{shown(first)}' has no "
            f"image; looked for {shown(folder.usual_name(first))} in {img_dir} "
            f"({len(missing):,} of {len(ids):,} rows have none); add the images, "
            f"remove the rows, or correct `img_dir`{_hint(file)}"
        )
    # The name that is missing: reading it fails later like any bad image, and says which file.
    return [name or folder.usual_name(product) for name, product in zip(names, ids, strict=True)]


def _hint(file: LabelFile) -> str:
    """Which column may hold or name the images, if one does."""
    for name in file.image_candidates:
        return f"; column '{shown(name)}' holds images: give `image_column={shown(name)}`"
    for name in file.columns:
        cells = file.frame[name]
        first = cells.filter(cells != "").head(1).to_list()
        if first and first[0].lower().endswith(IMAGE_SUFFIXES):
            return f"; column '{shown(name)}' seems to name them: give `image_column={shown(name)}`"
    return ""
