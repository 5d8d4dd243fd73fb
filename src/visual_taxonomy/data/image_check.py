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
from typing import NamedTuple, TypeVar

import numpy as np

from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.images import UnreadableImage, decode_image, image_kind

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
    img_dir: Path,
    names: Iterable[str],
    whole: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImageCheck:
    """Open the images of a catalogue: the headers of 50,000, and all pixels of 200 or of suspects.

    Args:
        img_dir: Their folder.
        names: Paths in it, one for each image of each row.
        whole: Open and decode all.
        on_progress: Called with the files done and to do.
    """
    rows = Counter(names)
    chosen = list(rows) if whole else _chosen(rows)
    paths = [img_dir / name for name in chosen]
    with ThreadPoolExecutor(available_cores(), "images") as pool:
        looks = _mapped(pool, _look, paths, on_progress)
        good = [i for i, look in enumerate(looks) if not look.problem]
        suspects = [i for i in good if looks[i].is_suspect]
        sample = good if whole else sorted({*_spread(good, MOST_DECODED), *suspects[:MOST_FILES]})
        problems = _mapped(pool, _decode, [paths[i] for i in sample], on_progress)
    found = {i: look.problem for i, look in enumerate(looks) if look.problem}
    found |= {i: reason for i, reason in zip(sample, problems, strict=True) if reason}
    broken = {chosen[i]: found[i] for i in sorted(found)}
    of_chosen = {name: rows[name] for name in chosen}
    shared = _shared(img_dir, of_chosen, {chosen[i]: looks[i].key for i in good})
    return ImageCheck(len(chosen), sum(of_chosen.values()), len(sample), broken, shared)


def _chosen(rows: Mapping[str, int]) -> list[str]:
    """Some names, evenly spread, and all that many rows have."""
    names = list(rows)
    if len(names) <= MOST_FILES:
        return names
    kept = {*_spread(names, MOST_FILES), *(name for name in names if rows[name] >= SHARED_ROWS)}
    return [name for name in names if name in kept]


def _spread(values: Sequence[T], most: int) -> list[T]:
    if not values:
        return []
    places = np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)
    return [values[place] for place in places.tolist()]


def _mapped(
    pool: ThreadPoolExecutor,
    function: Callable[[Path], T],
    paths: Sequence[Path],
    on_progress: Callable[[int, int], None],
) -> list[T]:
    done: list[T] = []
    # In parts for the progress, each large enough to keep the threads busy.
    for start in range(0, len(paths), 1024):
        done += pool.map(function, paths[start : start + 1024])
        on_progress(len(done), len(paths))
    return done


def _look(path: Path) -> _Look:
    try:
        image_kind(path)
        with path.open("rb") as file:
            head, size = file.read(_HEAD_BYTES), os.fstat(file.fileno()).st_size
            if size > _HEAD_BYTES:
                file.seek(-_TAIL_BYTES, os.SEEK_END)
            tail = file.read() if size > _HEAD_BYTES else head[-_TAIL_BYTES:]
    except UnreadableImage as reason:
        return _Look((0, b""), str(reason))
    except OSError as error:
        return _Look((0, b""), error.strerror or str(error))
    end = _ENDS.get(head[:2])
    return _Look((size, _digest(head)), is_suspect=end is not None and end not in tail)


def _decode(path: Path) -> str:
    try:
        decode_image(path)
    except UnreadableImage as reason:
        return str(reason)
    return ""


def _shared(
    img_dir: Path, rows: Mapping[str, int], keys: Mapping[str, tuple[int, bytes]]
) -> list[SharedImage]:
    """The images of many rows, by path or by bytes."""
    enough = min(SHARED_ROWS, max(_SHARED_LEAST, int(_SHARED_PART * sum(rows.values())) + 1))
    found = []
    for names in _groups(keys):
        if sum(rows[name] for name in names) < enough:
            continue
        whole = {name: keys[name] for name in names}
        if len(names) > 1 and keys[names[0]][0] > _HEAD_BYTES:
            # So far only their beginnings are known to be equal.
            whole = {name: _whole_key(img_dir / name) for name in names}
        for group in _groups(whole):
            products = sum(rows[name] for name in group)
            if products >= enough:
                found.append(SharedImage(group[0], products, len(group)))
    return sorted(found, key=lambda image: (-image.products, image.name))


def _groups(keys: Mapping[str, tuple[int, bytes]]) -> list[list[str]]:
    groups: dict[tuple[int, bytes], list[str]] = {}
    for name, key in keys.items():
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _whole_key(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        return 0, hashlib.file_digest(file, "sha256").digest()


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
