"""Images of a cache: read from a mapped file, each checked when it is first used.

Shapes: N images, H and W in pixels.
"""

import mmap
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visual_taxonomy.data.images import UnreadableImage


class Place(NamedTuple):
    """Where the pixels of an image are in the file."""

    offset: int
    height: int
    width: int
    checksum: int

    @property
    def end(self) -> int:
        """Offset of the first byte behind them."""
        return self.offset + self.height * self.width * 3


class CachedImages:
    """The pixels of N images; cheap to send to other processes of this machine.

    Each process compares the checksum of an image when it first reads it. One that is damaged is
    decoded again and used if that gives the checksum: then it is what was kept, bit by bit.

    Args:
        path: The file of pixels.
        places: [N, 4] offset in the file, H, W, and CRC-32 of the pixels.
        problems: Number of an image -> why it could not be read.
        decode_again: Gives the pixels of a place anew, None if it cannot; None in memory.
    """

    def __init__(
        self,
        path: Path,
        places: np.ndarray,
        problems: dict[int, str],
        decode_again: Callable[[Place], np.ndarray | None] | None = None,
    ) -> None:
        self.path = path
        self.places = places
        self.problems = problems
        self._decode_again = decode_again
        self._is_checked = np.zeros(len(places), bool)
        self._file: mmap.mmap | None = None

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.places)

    def __call__(self, row: int) -> np.ndarray:
        """A copy of the pixels [H, W, 3] uint8 of an image.

        Raises:
            UnreadableImage: There are none, or they are damaged and cannot be had again; the
                message is why.
        """
        if row in self.problems:
            raise UnreadableImage(self.problems[row])
        # Mapped when first used, so that each process has its own map and pickling sends none.
        if self._file is None:
            self._file = map_file(self.path)
        place = Place(*self.places[row].tolist())
        flat = np.frombuffer(self._file, np.uint8, place.end - place.offset, place.offset)
        # A copy: torch warns of arrays that cannot be written, and the file must not change.
        pixels = flat.reshape(place.height, place.width, 3).copy()
        if not self._is_checked[row]:
            # Of the copy, not of the map: what is checked is what is used.
            if zlib.crc32(pixels.data) != place.checksum:
                # Not marked as checked: the file is still damaged, and the next reading must see
                # it.
                return self._mended(place)
            self._is_checked[row] = True
        return pixels

    def _mended(self, place: Place) -> np.ndarray:
        pixels = self._decode_again(place) if self._decode_again else None
        if pixels is None or zlib.crc32(pixels.data) != place.checksum:
            raise UnreadableImage(f"its copy in {self.path} is damaged; delete that file")
        return pixels

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the mapping, which is of this process."""
        return self.__dict__ | {"_file": None}


def map_file(path: Path) -> mmap.mmap:
    """The bytes of a file, read when they are used."""
    with path.open("rb") as file:
        # The map stays valid when the file is closed, and when a new build deletes its name.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
