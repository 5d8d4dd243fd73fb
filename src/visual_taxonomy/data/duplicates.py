"""Find near-duplicate pictures, so that none stands on both sides of a split.

Shapes: N pictures, B bytes of a fingerprint.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from visual_taxonomy.data.images import UnreadableImage, read_image

_SIDE = 16
_DECODE_SIDE = 4 * _SIDE
_NOISE = 2.0
"""Root mean square difference, in grey levels, that re-encoding alone makes."""

_TILE = 2048


def fingerprint(path: Path) -> np.ndarray:
    """[B] uint8: whether the picture is readable (1 or 0), then its 16 x 16 RGB thumbnail.

    Product pictures on white resemble each other: the usual 64 bits would merge different
    garments of one cut. The thumbnail keeps colour and print and costs 769 bytes.
    """
    thumbnail = np.zeros(1 + _SIDE * _SIDE * 3, dtype=np.uint8)
    try:
        image = read_image(path, least_side=_DECODE_SIDE)
    except UnreadableImage:
        return thumbnail
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    thumbnail[0] = 1
    thumbnail[1:] = np.asarray(small).ravel()
    return thumbnail


def fingerprints(
    paths: Sequence[Path],
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """[N, B] uint8 fingerprints of picture files.

    Args:
        paths: N files; an unreadable one gets zeros and will form a group of its own.
        workers: Threads that decode (Pillow lets go of Python's lock while it does).
        on_progress: Called now and then with the pictures done and N.
    """
    prints = np.zeros((len(paths), 1 + _SIDE * _SIDE * 3), dtype=np.uint8)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(paths), 256):
            done = min(start + 256, len(paths))
            prints[start:done] = list(pool.map(fingerprint, paths[start:done]))
            if on_progress is not None:
                on_progress(done, len(paths))
    return prints


def group_near_duplicates(prints: np.ndarray, max_difference: float = 0.1) -> np.ndarray:
    """[N] int64 group of each picture: the smallest row of the pictures it duplicates.

    Two pictures are near-duplicates if their thumbnails differ by at most `max_difference` of
    the contrast of the flatter one,

        rms(a - b) <= max(max_difference * min(std(a), std(b)), 2 grey levels),

    and groups are the connected components. All pairs are compared, in tiles of one matrix
    product; thumbnails whose mean brightness alone differs by more need none. Found are copies
    that were resized or compressed again; a crop of more than about 1 % is another picture.

    Args:
        prints: [N, B] of `fingerprints`.
        max_difference: Share of the contrast; 0.1 was chosen by looking at 10,537 real pictures.
            From about 0.15 on, different garments on the same model begin to merge.

    Example:
        >>> prints = np.zeros((3, 769), dtype=np.uint8)
        >>> prints[:, 0] = 1
        >>> prints[1, 1:] = 255
        >>> group_near_duplicates(prints)
        array([0, 1, 0])
    """
    groups = np.arange(len(prints))
    for left, right in _near_pairs(prints, max_difference):
        # Tile by tile: a placeholder that stands for thousands of products has millions of pairs.
        left, right = groups[left], groups[right]
        new = left != right
        if new.any():
            groups = _components(len(groups), left[new], right[new])[groups]
    return groups


def _near_pairs(prints: np.ndarray, ratio: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows = np.flatnonzero(prints[:, 0])
    if len(rows) == 0:
        return
    brightness = np.concatenate(
        [prints[part, 1:].mean(1, dtype=np.float32) for part in _tiles(rows)]
    )
    rows = rows[np.argsort(brightness, kind="stable")]
    brightness.sort()
    tiles = list(_tiles(rows))
    for i, one in enumerate(tiles):
        thumbnails, contrast, size = _measure(prints, one)
        reach = brightness[i * _TILE + len(one) - 1] + max(ratio * contrast.max(), _NOISE)
        for j in range(i, len(tiles)):
            if brightness[j * _TILE] > reach:
                break
            others, other_contrast, other_size = _measure(prints, tiles[j])
            squared = size[:, None] + other_size - 2 * (thumbnails @ others.T)
            limit = ratio * np.minimum(contrast[:, None], other_contrast)
            near = squared <= np.maximum(limit, _NOISE) ** 2 * thumbnails.shape[1]
            left, right = np.nonzero(np.triu(near, 1) if i == j else near)
            yield one[left], tiles[j][right]


def _tiles(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _TILE):
        yield rows[start : start + _TILE]


def _measure(prints: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    thumbnails = prints[rows, 1:].astype(np.float32) - 128  # centred, for float32 sums
    return thumbnails, thumbnails.std(1), (thumbnails * thumbnails).sum(1)


def _components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[count] smallest row of each row's connected component; edges are left[e] - right[e]."""
    labels = np.arange(count)
    while True:
        smallest = np.minimum(labels[left], labels[right])
        lowered = labels.copy()
        np.minimum.at(lowered, left, smallest)
        np.minimum.at(lowered, right, smallest)
        lowered = lowered[lowered]
        if np.array_equal(lowered, labels):
            return labels
        labels = lowered
