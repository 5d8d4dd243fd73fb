"""The ids of a catalogue: there, each of one product, and fit to name an image in a folder."""

import re
from pathlib import PurePath, PureWindowsPath

import numpy as np
import polars as pl

from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.errors import shown

# Longest id: with its suffix, the name of a file has at most 255 bytes.
_MAX_BYTES = 250

# A sieve that polars applies to all ids; the few it holds back are looked at one by one.
_SUSPECT = r"[/\\:\x00]"


def read_ids(file: LabelFile) -> list[str]:
    """The ids of all rows.

    Where a column names the images, an id is any text.

    Raises:
        InputError: An id is missing, or two rows have one product; an id that names an image is
            too long for a file's name, or names a place outside the folder of the images.
    """
    ids = file.column("id")
    empty = np.flatnonzero((ids == "").to_numpy())
    if len(empty):
        raise file.empty(empty, "id", "every product needs an id")
    if not file.images:
        _check_names(file, ids)
    _check_distinct(file, ids)
    return ids.to_list()


def _check_names(file: LabelFile, ids: pl.Series) -> None:
    long = np.flatnonzero((ids.str.len_bytes() > _MAX_BYTES).to_numpy())
    if len(long):
        raise file.error(
            long,
            "id",
            f"'{shown(ids[int(long[0])])}' is too long: the name of an image has at most "
            f"{_MAX_BYTES} bytes; shorten it",
        )
    suspects = np.flatnonzero(ids.str.contains(_SUSPECT).to_numpy())
    outside = np.array([row for row in suspects.tolist() if _leaves_folder(ids[row])], dtype=int)
    if len(outside):
        raise file.error(
            outside,
            "id",
            f"'{shown(ids[int(outside[0])])}' names a file outside the image folder; "
            "use an id without '..' that is not an absolute path",
        )


def _leaves_folder(product_id: str) -> bool:
    """Whether a file called so may lie outside its folder, on this system or another."""
    starts_anew = PurePath(product_id).anchor or PureWindowsPath(product_id).is_absolute()
    return bool(starts_anew or "\0" in product_id or ".." in re.split(r"[/\\]", product_id))


def _check_distinct(file: LabelFile, ids: pl.Series) -> None:
    # 12 and 000012 are one product, because they are one image: see ImageFolder.
    is_padded = not file.images and ids.str.starts_with("0").any()
    plain = ids.str.replace("^0+([0-9]+)$", "$1") if is_padded else ids
    repeated = np.flatnonzero(~plain.is_first_distinct().to_numpy())
    if not len(repeated):
        return
    value = ids[int(repeated[0])]
    first = int((plain == plain[int(repeated[0])]).arg_max() or 0)
    other = "" if ids[first] == value else f", where it is written '{shown(ids[first])}'"
    raise file.error(
        repeated,
        "id",
        f"'{shown(value)}' is already in row {file.line(first)}{other}; remove one of the rows",
    )
