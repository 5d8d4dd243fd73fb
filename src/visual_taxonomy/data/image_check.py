"""Which images of a catalogue are broken, and which are one image under many products.

Shapes: N rows.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np

from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.image_list import ImageList
from visual_taxonomy.data.images import UnreadableImage, decode_image, image_kind
from visual_taxonomy.data.packed_images import PackedImages

T = TypeVar("T")

MOST_FILES = 50_000
"""Files that are opened unless all are asked for: four seconds of a core."""
MOST_DECODED = 200
"""Files that are decoded unless all are asked for: a damaged inside shows only then, and photos of
shops take 10 to 50 ms each."""

SHARED_ROWS = 20
"""One image of as many products is a placeholder, rarely one garment in all its sizes."""
_SHARED_LEAST, _SHARED_PART = 5, 0.01
"""Of a small catalogue more than a hundredth is enough, though not two products of fifty."""

_HEAD_BYTES = 1 << 16  # most product images whole; the rest of a larger file is read if need be
_TAIL_BYTES = 64  # some cameras and editors write a few bytes behind the end of a JPEG
_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}
"""How a JPEG and a PNG begin -> what stands at their end, and is missing from half a download."""


class SharedImage(NamedTuple):
    """One image of many products."""

    name: str
    """The file, or one of several with the same bytes."""
    products: int
    """Rows that have it."""
    files: int
    """Files with these bytes."""


@dataclass(frozen=True)
class ImageCheck:
    """What opening the images has shown.

    Args:
        files: Files whose beginning was read.
        rows: Rows that have one of these.
        decoded: Files that were decoded.
        broken: Name -> why it cannot be used, in the order of the file.
        shared: Images of many products, the most frequent first.
    """

    files: int = 0
    rows: int = 0
    decoded: int = 0
    broken: Mapping[str, str] = field(default_factory=dict)
    shared: Sequence[SharedImage] = ()


class _Look(NamedTuple):
    """What the beginning of a file shows."""

    key: tuple[int, bytes]
    """Size and digest of the beginning: equal files have equal ones."""
    problem: str = ""
    is_suspect: bool = False
    """Whether its end is missing."""


def check_images(
    img_dir: Path | None,
    names: Iterable[str],
    whole: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    packed: Mapping[str, PackedImages] = MappingProxyType({}),
) -> ImageCheck:
    """Open the images of a catalogue: the headers of 50,000, and all pixels of 200 or of suspects.

    Args:
        img_dir: Their folder; None where all are packed.
        names: Paths in it, or names of packed images, one for each image of each row.
        whole: Open and decode all.
        on_progress: Called with the files done and to do.
        packed: Images in the table itself; see `ImageList`.
    """
    rows = Counter(names)
    chosen = list(rows) if whole else _chosen(rows)
    images = ImageList(np.array(chosen, dtype=np.str_), img_dir, packed)
    with ThreadPoolExecutor(available_cores(), "images") as pool:
        numbers = range(len(chosen))
        looks = _mapped(pool, lambda i: _look(images.image(i)), numbers, on_progress)
        good = [i for i, look in enumerate(looks) if not look.problem]
        suspects = [i for i in good if looks[i].is_suspect]
        sample = good if whole else sorted({*spread(good, MOST_DECODED), *suspects[:MOST_FILES]})
        problems = _mapped(pool, lambda i: _decode(images.image(i)), sample, on_progress)
    found = {i: look.problem for i, look in enumerate(looks) if look.problem}
    found |= {i: reason for i, reason in zip(sample, problems, strict=True) if reason}
    # A packed image has no name that a person knows.
    shown = [images.place(i) if name.startswith("\0") else name for i, name in enumerate(chosen)]
    broken = {shown[i]: found[i] for i in sorted(found)}
    counts = np.array([rows[name] for name in chosen], dtype=np.int64)
    shared = _shared(images, counts, {i: looks[i].key for i in good})
    named = [SharedImage(shown[i], *of_image) for i, *of_image in shared]
    named.sort(key=lambda image: (-image.products, image.name))
    return ImageCheck(len(chosen), int(counts.sum()), len(sample), broken, named)


def _chosen(rows: Mapping[str, int]) -> list[str]:
    """Some names, evenly spread, and all that many rows have."""
    names = list(rows)
    if len(names) <= MOST_FILES:
        return names
    kept = {*spread(names, MOST_FILES), *(name for name in names if rows[name] >= SHARED_ROWS)}
    return [name for name in names if name in kept]


def spread(values: Sequence[T], most: int) -> list[T]:
    """At most so many of the values, evenly spread."""
    if not values:
        return []
    places = np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)
    return [values[place] for place in places.tolist()]


def _mapped(
    pool: ThreadPoolExecutor,
    function: Callable[[int], T],
    numbers: Sequence[int],
    on_progress: Callable[[int, int], None],
) -> list[T]:
    done: list[T] = []
    # In parts for the progress, each large enough to keep the threads busy.
    for start in range(0, len(numbers), 1024):
        done += pool.map(function, numbers[start : start + 1024])
        on_progress(len(done), len(numbers))
    return done


def _look(source: Path | bytes) -> _Look:
    try:
        image_kind(source)
        head, tail, size = _parts(source)
    except UnreadableImage as reason:
        return _Look((0, b""), str(reason))
    except OSError as error:
        return _Look((0, b""), error.strerror or str(error))
    end = _ENDS.get(head[:2])
    return _Look((size, _digest(head)), is_suspect=end is not None and end not in tail)


def _parts(source: Path | bytes) -> tuple[bytes, bytes, int]:
    """Beginning, end and size of an image file."""
    if isinstance(source, bytes):
        return source[:_HEAD_BYTES], source[-_TAIL_BYTES:], len(source)
    with source.open("rb") as file:
        head, size = file.read(_HEAD_BYTES), os.fstat(file.fileno()).st_size
        if size > _HEAD_BYTES:
            file.seek(-_TAIL_BYTES, os.SEEK_END)
        return head, file.read() if size > _HEAD_BYTES else head[-_TAIL_BYTES:], size


def _decode(source: Path | bytes) -> str:
    try:
        decode_image(source)
    except UnreadableImage as reason:
        return str(reason)
    return ""


def _shared(
    images: ImageList, rows: np.ndarray, keys: Mapping[int, tuple[int, bytes]]
) -> list[tuple[int, int, int]]:
    """The images of many rows, by name or by bytes: number of one, rows, files."""
    enough = min(SHARED_ROWS, max(_SHARED_LEAST, int(_SHARED_PART * rows.sum()) + 1))
    found = []
    for alike in _groups(keys):
        if rows[alike].sum() < enough:
            continue
        whole = {i: keys[i] for i in alike}
        if len(alike) > 1 and keys[alike[0]][0] > _HEAD_BYTES:
            # So far only their beginnings are known to be equal.
            whole = {i: _whole_key(images.image(i)) for i in alike}
        for group in _groups(whole):
            products = int(rows[group].sum())
            if products >= enough:
                found.append((group[0], products, len(group)))
    return found


def _groups(keys: Mapping[int, tuple[int, bytes]]) -> list[list[int]]:
    groups: dict[tuple[int, bytes], list[int]] = {}
    for number, key in keys.items():
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _whole_key(source: Path | bytes) -> tuple[int, bytes]:
    if isinstance(source, bytes):
        return 0, hashlib.sha256(source).digest()
    with source.open("rb") as file:
        return 0, hashlib.file_digest(file, "sha256").digest()


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
