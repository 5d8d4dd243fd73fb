"""Images decoded once, kept in one memory-mapped file that all processes share.

A folder holds, for each size asked for, a file of pixels that only grows and an index (JSON
behind a checksum) of what of it is finished. The index is replaced once the pixels are on the
disk, so a build that is killed has the last few seconds of its work to do again, no more.

Shapes: N images, H and W in pixels.
"""

import errno
import io
import json
import math
import mmap
import os
import time
import weakref
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.cached_images import CachedImages, Place, map_file
from visual_taxonomy.data.image_list import ImageList
from visual_taxonomy.data.images import DECODE_MARGIN, ImageSource, UnreadableImage, decode_image
from visual_taxonomy.errors import InputError
from visual_taxonomy.leftovers import remove_leftovers_in

IN_MEMORY = Path("ram")
"""The place that is no folder."""

CACHE_MARGIN = 8 / 7
"""Cached images cover the image size times this, as 256 covers 224.

A crop of 0.9 of the area has at least 0.9 of each side, so training enlarges none.
"""

# Images decoded before they are written: in memory at once, but enough for the threads.
_CHUNK = 64
# A killed build loses this much; a commit writes the whole index and waits for the disk.
_SECONDS_BETWEEN_COMMITS = 5.0
# Images whose checksum is compared when a cache is opened, evenly spread.
_CHECKED = 64

# The disk is full, or the share of it that the user has.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# Of the files; a cache of another version is built again.
_VERSION = 1


class _Source(NamedTuple):
    """An image as it is now; a change of any of the three is another image."""

    path: str
    """Of its file, absolute, or the place in a file; see `ImageList.place`."""
    file_size: int
    modified_ns: int


def cached_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """The height and width that cached images of a model for `image_size` cover.

    Example:
        >>> cached_size((224, 224))
        (256, 256)
    """
    height, width = image_size
    return math.ceil(CACHE_MARGIN * height), math.ceil(CACHE_MARGIN * width)


def open_cache(
    place: Path,
    images: ImageList | Sequence[Path],
    least_size: tuple[int, int],
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> CachedImages:
    """`cache_in_memory` for the place "ram", `cache_in_folder` for all others.

    Raises:
        InputError: The place cannot be written, or is full.
    """
    if place == IN_MEMORY:
        return cache_in_memory(images, least_size, workers, on_progress)
    return cache_in_folder(place, images, least_size, workers, on_progress)


def cache_in_folder(
    folder: Path,
    images: ImageList | Sequence[Path],
    least_size: tuple[int, int],
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> CachedImages:
    """Images from a cache folder, after adding those that are new or have changed.

    Processes may call this at the same time: one builds, the others wait and find the work done.
    A damaged cache is built again. Images that cannot be read are tried again by each call.

    Args:
        folder: The cache; made if it is not there.
        images: N images.
        least_size: Images are reduced until one side is about to fall below this height or
            width; smaller ones stay as they are.
        workers: Threads that decode.
        on_progress: Called now and then with the images done and the images to do.

    Raises:
        InputError: The folder cannot be written, or the disk is full.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (40, 20), "red").save(folder / "1.png")
        >>> images = cache_in_folder(folder / "cache", [folder / "1.png"], (10, 10))
        >>> (folder / "1.png").unlink()
        >>> images(0).shape
        (10, 20, 3)
    """
    name = f"{least_size[0]}x{least_size[1]}"
    pixels, index = folder / f"pixels_{name}.bin", folder / f"index_{name}.json"
    images = ImageList.of(images)
    sources = _look(images)
    problems: dict[_Source, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Two runs may fill one cache: the second waits, and then finds the images of the first.
        with FileLock(folder / f"lock_{name}"):
            remove_leftovers_in(folder)
            known = _read_index(index, pixels)
            if not known:
                pixels.unlink(missing_ok=True)  # others may still read it: never cut it short
            missing = [source for source in dict.fromkeys(sources) if source not in known]
            changed = {source.path for source in missing}
            # An image that has changed is written again; its old pixels stay in the file, unused.
            known = {source: known[source] for source in known if source.path not in changed}
            pixels.touch()
            # "rb+" does not make the file, hence the touch; "wb" would empty what others have
            # mapped.
            with pixels.open("rb+") as file:
                # Behind whatever a killed build wrote after its last commit: wasted room, never
                # read.
                file.seek(0, os.SEEK_END)
                build = _Build(file, known, problems, least_size, _finder(images, sources))
                build.add(missing, workers, on_progress, lambda: _commit(file, index, known))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    again = _DecodeAgain(index, least_size)
    return _gather(pixels, sources, known, problems, again)


def cache_in_memory(
    images: ImageList | Sequence[Path],
    least_size: tuple[int, int],
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> CachedImages:
    """The same without a folder: in shared memory that is free again when the last user ends.

    Raises:
        InputError: The system has no such memory (only Linux has), or it is full.
    """
    if not hasattr(os, "memfd_create"):
        raise InputError("`image_cache=ram` needs Linux; name a folder instead")
    images = ImageList.of(images)
    sources = _look(images)
    known: dict[_Source, Place] = {}
    problems: dict[_Source, str] = {}
    try:
        with ExitStack() as opened:
            file = opened.enter_context(os.fdopen(os.memfd_create("visual_taxonomy"), "rb+"))
            build = _Build(file, known, problems, least_size, _finder(images, sources))
            build.add(list(dict.fromkeys(sources)), workers, on_progress, file.flush)
            # Other processes of this machine open the file by this name; it has none in a folder.
            path = Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
            found = _gather(path, sources, known, problems)
            # The memory is given back with the last reader, not at the end of the process.
            weakref.finalize(found, opened.pop_all().close)
            return found
    except OSError as error:
        raise _cannot_write(IN_MEMORY, error) from error


class _Build:
    """Appends images to a file."""

    def __init__(
        self,
        file: io.BufferedRandom,
        known: dict[_Source, Place],
        problems: dict[_Source, str],
        least_size: tuple[int, int],
        find: Callable[[_Source], ImageSource],
    ) -> None:
        self.file = file
        self.known = known
        self.problems = problems
        self.least_size = least_size
        self.find = find

    def add(
        self,
        sources: list[_Source],
        workers: int,
        on_progress: Callable[[int, int], None] | None,
        commit: Callable[[], None],
    ) -> None:
        """Decode and append, committing every few seconds and at the end, also an early one."""
        committed = time.monotonic()
        try:
            with ThreadPoolExecutor(max(1, workers)) as pool:
                for start in range(0, len(sources), _CHUNK):
                    chunk = sources[start : start + _CHUNK]
                    # Threads decode, this one alone appends: places need no lock.
                    for source, pixels in zip(chunk, pool.map(self._decode, chunk), strict=True):
                        self._append(source, pixels)
                    if time.monotonic() - committed > _SECONDS_BETWEEN_COMMITS:
                        commit()
                        committed = time.monotonic()
                    if on_progress is not None:
                        on_progress(start + len(chunk), len(sources))
        finally:
            if sources:
                commit()

    def _decode(self, source: _Source) -> np.ndarray | str:
        try:
            return _decode(self.find(source), self.least_size)
        except UnreadableImage as reason:
            return str(reason)

    def _append(self, source: _Source, pixels: np.ndarray | str) -> None:
        if isinstance(pixels, str):
            self.problems[source] = pixels
            return
        height, width, _ = pixels.shape
        place = Place(self.file.tell(), height, width, zlib.crc32(pixels.data))
        self.file.write(pixels.data)
        self.known[source] = place


class _DecodeAgain:
    """Pixels of a damaged place, from the image file that the index names for it.

    The index is read in the process that finds the first damage: most never need it.
    """

    def __init__(self, index: Path, least_size: tuple[int, int]) -> None:
        self.index = index
        self.least_size = least_size

    @cached_property
    def _paths(self) -> dict[Place, Path]:
        known = _parse_index(self.index)
        return {place: Path(source.path) for source, place in known.items()}

    def __call__(self, place: Place) -> np.ndarray | None:
        try:
            return _decode(self._paths[place], self.least_size)
        # KeyError: a later build has replaced the index, and no longer knows this place.
        except (KeyError, OSError, UnreadableImage):
            return None


def _decode(image: ImageSource, least_size: tuple[int, int]) -> np.ndarray:
    height, width = (DECODE_MARGIN * side for side in least_size)
    return shrink(decode_image(image, least_size=(height, width)), least_size)


def shrink(pixels: np.ndarray, least_size: tuple[int, int]) -> np.ndarray:
    """Reduce an image [H, W, 3], keeping its ratio, to the smallest that covers a size.

    Example:
        >>> shrink(np.zeros((100, 300, 3), np.uint8), (10, 20)).shape
        (10, 30, 3)
        >>> shrink(np.zeros((9, 300, 3), np.uint8), (10, 20)).shape
        (9, 300, 3)
    """
    height, width, _ = pixels.shape
    scale = max(least_size[0] / height, least_size[1] / width)
    # Never enlarged: that would add bytes and no detail.
    if scale >= 1:
        return pixels
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    small = functional.resize(tensor, size, InterpolationMode.BICUBIC)
    return np.ascontiguousarray(small.permute(1, 2, 0).numpy())


def _look(images: ImageList) -> list[_Source]:
    """The images as they are now; of one that is not there, decoding will say why."""
    # Absolute, so that a run from another working folder finds the same images.
    places = [os.path.abspath(images.place(k)) for k in range(len(images))]
    return [_Source(place, *images.state(k)) for k, place in enumerate(places)]


def _finder(images: ImageList, sources: list[_Source]) -> Callable[[_Source], ImageSource]:
    numbers = {source: number for number, source in enumerate(sources)}
    return lambda source: images[numbers[source]]


def _gather(
    path: Path,
    sources: list[_Source],
    known: dict[_Source, Place],
    problems: dict[_Source, str],
    decode_again: _DecodeAgain | None = None,
) -> CachedImages:
    # Images with a problem have no place; `CachedImages` looks for the problem first.
    places = [known.get(source, (0, 0, 0, 0)) for source in sources]
    of_rows = {row: problems[source] for row, source in enumerate(sources) if source in problems}
    # Reshaped for the case of no images, of which NumPy makes an array of one dimension.
    array = np.array(places, np.int64).reshape(-1, 4)
    return CachedImages(path, array, of_rows, decode_again)


def _commit(file: io.BufferedRandom, index: Path, known: dict[_Source, Place]) -> None:
    file.flush()
    # Before the index: it must never name pixels that a power failure has lost.
    os.fsync(file.fileno())
    rows = [(*source, *place) for source, place in known.items()]
    content = json.dumps({"version": _VERSION, "pictures": rows}).encode()
    with write_atomically(index) as temporary:
        temporary.write_bytes(b"%08x\n%b" % (zlib.crc32(content), content))


def _read_index(index: Path, pixels: Path) -> dict[_Source, Place]:
    """What is finished; nothing if that is not sure."""
    if not (index.exists() and pixels.exists()):
        return {}
    known = _parse_index(index)
    return known if _is_sound(list(known.values()), pixels) else {}


def _parse_index(index: Path) -> dict[_Source, Place]:
    checksum, _, content = index.read_bytes().partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(content):
        return {}
    table = json.loads(content)
    if table["version"] != _VERSION:
        return {}
    return {_Source(*row[:3]): Place(*row[3:]) for row in table["pictures"]}


def _is_sound(places: list[Place], pixels: Path) -> bool:
    # A cache that was copied or restored in part: the index would name places behind the end.
    if not places or max(place.end for place in places) > pixels.stat().st_size:
        return False
    sample = np.linspace(0, len(places) - 1, min(_CHECKED, len(places))).astype(int)
    content = map_file(pixels)
    return all(_checksum(content, places[i]) == places[i].checksum for i in sample)


def _checksum(content: mmap.mmap, place: Place) -> int:
    return zlib.crc32(memoryview(content)[place.offset : place.end])


def _cannot_write(place: Path, error: OSError) -> InputError:
    if error.errno in _NO_ROOM:
        return InputError(f"`image_cache` {place}: no space left; name a folder on another disk")
    return InputError(f"`image_cache` {place}: cannot be written ({error.strerror or error})")
