"""Which rows of a catalogue have an image, and what these images are like.

Shapes: N rows of a table, R rows of its file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.data import image_check
from visual_taxonomy.data.catalogue import ID
from visual_taxonomy.data.image_check import ImageCheck, check_images, spread
from visual_taxonomy.data.image_folder import ImageFolder
from visual_taxonomy.data.image_list import ImageList
from visual_taxonomy.data.image_paths import ImagePaths, LeadsOutside, check_paths
from visual_taxonomy.data.image_pattern import ImagePattern
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.packed_images import PackedImages
from visual_taxonomy.data.parquet_images import pack_column
from visual_taxonomy.data.row_images import split_cells
from visual_taxonomy.errors import InputError
from visual_taxonomy.progress import SILENT, Reporter


@dataclass(frozen=True)
class ImageSummary:
    """Which images are there.

    Args:
        found: Images that rows ask for and have; by a pattern, rows that have any.
        missing: Those that are not there.
        first_missing: What the first of them is asked for by.
        problem: Why no image can be looked for, if so.
        check: What opening them has shown.
        names: [N] paths in the folder or names of packed images, of several the first; None for a
            row without, or one that was not looked at.
        rows: Those that were looked at: of images in a large table only some are copied out of it.
        packed: Images in the table itself; see `ImageList`.
    """

    found: int = 0
    missing: int = 0
    first_missing: str = ""
    problem: str = ""
    check: ImageCheck = field(default_factory=ImageCheck)
    names: Sequence[str | None] = field(default=(), repr=False)
    rows: int = 0
    packed: Mapping[str, PackedImages] = field(default_factory=dict, repr=False)

    def source(self, name: str, img_dir: Path | None) -> Path | bytes:
        """The file of an image of `names`, or its content."""
        return ImageList(np.array([name], dtype=np.str_), img_dir, self.packed).image(0)


def count_images(
    file: LabelFile,
    img_dir: Path | None,
    whole_check: bool = False,
    reporter: Reporter = SILENT,
) -> ImageSummary:
    """How many rows have an image, and what the images are like.

    Args:
        file: The rows.
        img_dir: The folder; None where the file holds the images.
        whole_check: As for `check_images`.
        reporter: Shows how far they are.

    Raises:
        InputError: There is no such folder.
    """
    packed: dict[str, PackedImages] = {}
    try:
        wanted = _wanted_images(file, img_dir, whole_check, packed)
    except InputError as error:
        return ImageSummary(problem=str(error))
    except LeadsOutside:
        return ImageSummary(problem=f"links lead out of {img_dir}")
    missing = [each.asked for each in wanted if not each.found]
    first_of: dict[int, str] = {}
    for each in wanted:
        for name in each.found:
            first_of.setdefault(each.row, name)
    names = [name for each in wanted for name in each.found]
    with reporter.progress("opening images") as advance:
        check = check_images(img_dir, names, whole_check, advance, packed)
    return ImageSummary(
        len(wanted) - len(missing),
        len(missing),
        missing[0] if missing else "",
        check=check,
        names=[first_of.get(row) for row in range(len(file))],
        rows=len({each.row for each in wanted}),
        packed=packed,
    )


class _Wanted(NamedTuple):
    """An image, or those of a pattern, that a row asks for."""

    row: int
    asked: str
    found: list[str]
    """Paths in the folder, or names of packed images."""


def _wanted_images(
    file: LabelFile, img_dir: Path | None, whole: bool, packed: dict[str, PackedImages]
) -> list[_Wanted]:
    """What the rows ask for, and what there is of it; those in the table go into `packed`."""
    pattern = file.roles.image_pattern
    if img_dir is not None and (pattern is not None or not file.images):
        ids = file.column(ID).to_list()
        found = _by_id(ids, img_dir) if pattern is None else _by_pattern(ids, img_dir, pattern)
        return [_Wanted(row, name, found[row]) for row, name in enumerate(ids)]
    wanted: list[_Wanted] = []
    for column, paths in file.images.items():
        if paths is None:
            wanted += _held(file, column, img_dir, whole, packed)
            continue
        cells = split_cells(paths, img_dir)
        rows = file.product_of.repeat([len(names) for names in cells])
        names = [name for each in cells for name in each]
        wanted += _by_path(file, rows, column, names, img_dir)
    return wanted


def _by_path(
    file: LabelFile, rows: np.ndarray, column: str, names: list[str], img_dir: Path | None
) -> list[_Wanted]:
    check_paths(file, rows, column, pl.Series(names, dtype=pl.String))
    find = None if img_dir is None else ImagePaths(img_dir).find
    return [
        _Wanted(row, name, _known(find(name) if find is not None and name else None))
        for row, name in zip(rows.tolist(), names, strict=True)
    ]


def _held(
    file: LabelFile,
    column: str,
    img_dir: Path | None,
    whole: bool,
    packed: dict[str, PackedImages],
) -> list[_Wanted]:
    """Of a column that holds images; of many rows some, since all of them would be copied."""
    every = range(len(file.source_rows))
    chosen = np.array(every if whole else spread(every, image_check.MOST_FILES), dtype=np.int64)
    images, names_of = pack_column(file.path, column, file.source_rows[chosen])
    packed |= images
    wanted: list[_Wanted] = []
    rows, paths = [], []
    for row, names in zip(file.product_of[chosen].tolist(), names_of, strict=True):
        for name in names:
            if not name.startswith("\0"):
                rows.append(row)
                paths.append(name)
                continue
            key, _, number = name[1:].partition(":")
            is_empty = images[key].is_empty(int(number))
            wanted.append(_Wanted(row, images[key].place(int(number)), [] if is_empty else [name]))
    return wanted + _by_path(file, np.array(rows, dtype=np.int64), column, paths, img_dir)


def _by_id(ids: Sequence[str], img_dir: Path) -> list[list[str]]:
    folder = ImageFolder(img_dir)
    return [_known(folder.find(name) if name else None) for name in ids]


def _by_pattern(ids: Sequence[str], img_dir: Path, pattern: str) -> list[list[str]]:
    images = ImagePattern(img_dir, pattern)
    return [images.find(name) if name else [] for name in ids]


def _known(name: str | None) -> list[str]:
    return [] if name is None else [name]
