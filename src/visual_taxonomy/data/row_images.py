"""Which images each row of a catalogue has, by its ids or by its image columns.

Shapes: N rows, V images.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.data.image_folder import ImageFolder
from visual_taxonomy.data.image_paths import NO_NAME, find_named_images
from visual_taxonomy.data.image_pattern import ImagePattern
from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.packed_images import PackedImages
from visual_taxonomy.data.parquet_images import as_path, pack_column
from visual_taxonomy.data.views import starts_of
from visual_taxonomy.errors import InputError, shown

MissingImages = Literal["error", "keep"]
"""What to do with a row without an image: refuse it, or keep it as one that cannot be read."""


class RowImages(NamedTuple):
    """The images of N rows; see `ImageList`."""

    names: np.ndarray
    """[V] str."""
    starts: np.ndarray | None
    """[N + 1] first image of each row; None where each has one."""
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
    if file.roles.image_pattern is not None:
        folder = _folder(file, img_dir)
        return _row_images(_by_pattern(file, ids, folder, missing_images), {})
    if not file.images:
        names = _by_id(file, ids, _folder(file, img_dir), missing_images)
        return RowImages(np.array(names), None, {})
    packed: dict[str, PackedImages] = {}
    cells: list[list[list[str]]] = []
    for column, paths in file.images.items():
        if paths is None:
            found, names_of = pack_column(file.path, column, file.source_rows)
            packed |= found
        else:
            names_of = split_cells(paths, img_dir)
        cells.append(names_of)
    _drop_empty(cells)
    for column, names_of in zip(file.images, cells, strict=True):
        _find_files(file, column, names_of, img_dir, missing_images, on_note)
    products: list[list[str]] = [[] for _ in range(len(file))]
    for row, product in enumerate(file.product_of.tolist()):
        for names_of in cells:
            products[product] += names_of[row]
    # A product of several rows may have none in some of them, and one image in several.
    return _row_images([list(dict.fromkeys(_named(names))) for names in products], packed)


def _row_images(products: list[list[str]], packed: dict[str, PackedImages]) -> RowImages:
    counts = np.array([len(names) for names in products], dtype=np.int64)
    names = np.array([name for names in products for name in names], dtype=np.str_)
    # None where each has one: nothing that follows costs or does anything else than before.
    return RowImages(names, None if (counts == 1).all() else starts_of(counts), packed)


def split_cells(paths: pl.Series, img_dir: Path | None) -> list[list[str]]:
    """[R] the paths of each cell: a list, or a text with semicolons between."""
    if paths.dtype == pl.List(pl.String):
        return [[as_path(text.strip()) for text in cell or () if text] for cell in paths.to_list()]
    return [
        [as_path(part.strip()) for part in (cell.split(";") if _is_list(cell, img_dir) else [cell])]
        for cell in paths.to_list()
    ]


def _is_list(cell: str, img_dir: Path | None) -> bool:
    # A file may have a semicolon in its name.
    return ";" in cell and (img_dir is None or not (img_dir / cell).is_file())


def _drop_empty(cells: list[list[list[str]]]) -> None:
    """Leave empty names out where the row has others; a row without any keeps one."""
    for of_columns in zip(*cells, strict=True):
        has_name = any(name for names in of_columns for name in names)
        for number, names in enumerate(of_columns):
            kept = [name for name in names if name]
            names[:] = kept if has_name or number else [""]


def _named(names: list[str]) -> list[str]:
    return [name for name in names if name != NO_NAME] or [NO_NAME]


def _find_files(
    file: LabelFile,
    column: str,
    cells: list[list[str]],
    img_dir: Path | None,
    missing_images: MissingImages,
    on_note: Callable[[str], None],
) -> None:
    """Put in place of each path the one of its file; packed images stay."""
    places = [
        (row, place)
        for row, names in enumerate(cells)
        for place, name in enumerate(names)
        if not name.startswith("\0")
    ]
    if not places:
        return
    paths = pl.Series([cells[row][place] for row, place in places], dtype=pl.String)
    products = file.product_of[[row for row, _ in places]]
    found = find_named_images(
        file, products, column, paths, _folder(file, img_dir), missing_images, on_note
    )
    for (row, place), name in zip(places, found, strict=True):
        cells[row][place] = name


def _by_pattern(
    file: LabelFile, ids: Sequence[str], img_dir: Path, missing_images: MissingImages
) -> list[list[str]]:
    pattern = file.roles.image_pattern or ""
    images = ImagePattern(img_dir, pattern)
    found = [images.find(product_id) for product_id in ids]
    missing = [row for row, names in enumerate(found) if not names]
    if missing and missing_images == "error":
        first = ids[missing[0]]
        raise InputError(
            f"{file.path}, row {file.line(missing[0])}, column '{shown(file.roles.id_column)}': "
            f"'{shown(first)}' has no image; looked for {shown(pattern.replace('{id}', first))} in "
            f"{img_dir} ({len(missing):,} of {len(ids):,} rows have none); add the images, remove "
            "the rows, or correct `image_pattern` or `img_dir`"
        )
    return [names or [NO_NAME] for names in found]


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
