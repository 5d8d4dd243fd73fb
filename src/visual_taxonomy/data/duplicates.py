"""Find near-duplicate images, so that none stands on both sides of a split.

Shapes: N images, B bytes of a fingerprint.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from visual_taxonomy.data.image_list import ImageList
from visual_taxonomy.data.images import ImageSource, UnreadableImage, read_image
from visual_taxonomy.data.neighbours import Neighbours, first_copies
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.views import joined_groups

# The usual 8 x 8 merges garments of one cut that differ in print.
_SIDE = 16
# Reduced further while decoding, two copies of different size would differ more.
_DECODE_SIDE = 4 * _SIDE
# Root mean square difference, in grey levels, that re-encoding alone makes.
_NOISE = 2.0

# Rows widened to float32 at a time: 6 MB, whatever the size of the catalogue.
_TILE = 2048


def fingerprint(source: ImageSource) -> np.ndarray:
    """[B] uint8: whether the image is readable (1 or 0), then its 16 x 16 RGB thumbnail.

    Product images on white resemble each other: the usual 64 bits would merge different
    garments of one cut. The thumbnail keeps colour and print and costs 769 bytes.
    """
    thumbnail = np.zeros(1 + _SIDE * _SIDE * 3, dtype=np.uint8)
    try:
        image = read_image(source, least_side=_DECODE_SIDE)
    except UnreadableImage:
        return thumbnail
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    thumbnail[0] = 1
    thumbnail[1:] = np.asarray(small).ravel()
    return thumbnail


def fingerprints(
    images: ImageList | Sequence[Path],
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """[N, B] uint8 fingerprints of images; a file with several names is decoded once.

    Args:
        images: N images; an unreadable one gets zeros and will form a group of its own.
        workers: Threads that decode (Pillow lets go of Python's lock while it does).
        on_progress: Called now and then with the images done and N.
    """
    images = ImageList.of(images)
    prints = np.zeros((len(images), 1 + _SIDE * _SIDE * 3), dtype=np.uint8)
    first_rows: dict[object, int] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        # In parts for the progress, each large enough to keep the threads busy.
        for start in range(0, len(images), 256):
            done = min(start + 256, len(images))
            keys = [images.identity(k) for k in range(start, done)]
            rows = [first_rows.setdefault(key, k) for k, key in enumerate(keys, start)]
            new = [row for k, row in enumerate(rows, start) if row == k]
            if new:
                prints[new] = list(pool.map(lambda row: fingerprint(images[row]), new))
            prints[start:done] = prints[rows]
            if on_progress is not None:
                on_progress(done, len(images))
    return prints


def group_rows(
    table: Table, workers: int = 1, on_progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """[N] int64 near-duplicate group of each row of a table: any two images of theirs are near.

    Args:
        table: The rows, with one image or several.
        workers: As for `fingerprints`.
        on_progress: As for `fingerprints`.
    """
    groups = group_near_duplicates(fingerprints(table.images, workers, on_progress))
    return groups if table.starts is None else joined_groups(groups, table.starts)


def group_near_duplicates(prints: np.ndarray, max_difference: float = 0.1) -> np.ndarray:
    """[N] int64 group of each image: the smallest row of the images it duplicates.

    Two images are near-duplicates if their thumbnails differ by at most `max_difference` of
    the contrast of the flatter one,

        rms(a - b) <= max(max_difference * min(std(a), std(b)), 2 grey levels),

    and groups are the connected components. An index (see `Neighbours`) spares comparing all
    pairs. Found are copies that were resized or compressed again; a crop of more than about 1 %
    is another image.

    Args:
        prints: [N, B] of `fingerprints`.
        max_difference: Share of the contrast; 0.1 was chosen by looking at 10,537 real images.
            From about 0.15 on, different garments on the same model begin to merge.

    Example:
        >>> prints = np.zeros((3, 769), dtype=np.uint8)
        >>> prints[:, 0] = 1
        >>> prints[1, 1:] = 255
        >>> group_near_duplicates(prints)
        array([0, 1, 0])
    """
    groups = np.arange(len(prints))
    readable = np.flatnonzero(prints[:, 0])
    thumbnails = prints[:, 1:]
    firsts = first_copies(thumbnails, readable)
    kinds, kind_of = np.unique(firsts, return_inverse=True)
    if len(kinds):
        # Two white images differ by noise alone; without the floor they would never be duplicates.
        limits = np.maximum(max_difference * _contrasts(thumbnails, kinds), np.float32(_NOISE))
        groups[readable] = kinds[Neighbours(thumbnails, kinds, limits).groups()][kind_of]
    return groups


def _contrasts(thumbnails: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[n] standard deviation of the thumbnails of n rows, in grey levels."""
    contrasts = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _TILE):
        part = slice(start, start + _TILE)
        # Around 128, so that float32 sums small numbers.
        contrasts[part] = (thumbnails[rows[part]].astype(np.float32) - 128).std(1)
    return contrasts
