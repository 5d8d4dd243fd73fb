"""Encoded images of a table, in one file that is mapped by all who read it.

What reads a Parquet file has threads of its own, which a process that was forked off has lost: it
would wait for them for ever. So the images are copied out once, by the process that reads the
table; loading processes and threads only look into a map. The copy has no name where the system
allows that, and is gone with the last process that uses it.

Shapes: N images.
"""

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from visual_taxonomy.data.cached_images import map_file
from visual_taxonomy.errors import InputError

_OPEN_FILES = Path("/proc/self/fd")
"""Where a file without a name can be opened again; Linux has it."""


class Origin(NamedTuple):
    """Where packed images come from."""

    path: Path
    column: str
    size: int
    """Of the file, in bytes."""
    modified_ns: int


class PackedImages:
    """The content of N image files, by number; cheap to send to processes of this machine.

    Args:
        images: Row of each in its file, from 1 and rising, and its content; None where the row
            has no image.
        origin: The file they come from; where it has changed, all of them count as changed.

    Raises:
        InputError: The folder for temporary files is full.

    Example:
        >>> origin = Origin(Path("a.parquet"), "image", 9, 0)
        >>> images = PackedImages([(1, b"one"), (2, None)], origin)
        >>> images(0), images(1), images.place(1)
        (b'one', b'', "a.parquet, row 2, column 'image'")
    """

    def __init__(self, images: Iterable[tuple[int, bytes | None]], origin: Origin) -> None:
        self.origin = origin
        is_nameless = _OPEN_FILES.is_dir()
        make = tempfile.TemporaryFile if is_nameless else tempfile.NamedTemporaryFile
        file = make(prefix="vtax-images-")
        # Open for as long as this object lives: closing the file deletes it.
        weakref.finalize(self, file.close)
        name = f"/proc/{os.getpid()}/fd/{file.fileno()}" if is_nameless else file.name
        self._path = Path(name)
        self._rows, self._ends = _copy(images, file)
        self._map: mmap.mmap | None = None

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self._rows)

    def __call__(self, number: int) -> bytes:
        """The content of an image; empty where there is none."""
        if self.is_empty(number):  # a file without any content could not be mapped, either
            return b""
        start, end = self._ends[number : number + 2].tolist()
        if self._map is None:
            self._map = map_file(self._path)
        return self._map[start:end]

    def is_empty(self, number: int) -> bool:
        """Whether the row has no image, or one without any content."""
        start, end = self._ends[number : number + 2].tolist()
        return bool(start == end)

    def place(self, number: int) -> str:
        """Where an image stands, for messages."""
        row = int(self._rows[number])
        first, end = np.searchsorted(self._rows, [row, row + 1]).tolist()
        which = f", image {number - first + 1}" if end - first > 1 else ""
        return f"{self.origin.path}, row {row}, column '{self.origin.column}'{which}"

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the map, which is of this process."""
        return self.__dict__ | {"_map": None}


def _copy(
    images: Iterable[tuple[int, bytes | None]], file: IO[bytes]
) -> tuple[np.ndarray, np.ndarray]:
    """[N] rows, and [N + 1] where each image ends, with a 0 in front."""
    rows, ends = [], [0]
    try:
        for row, content in images:
            rows.append(row)
            ends.append(ends[-1] + file.write(content or b""))
        file.flush()
    except OSError as error:
        # What is left in its buffer fails once more.
        with suppress(OSError):
            file.close()
        raise InputError(
            f"{tempfile.gettempdir()}: images are copied there out of their table, which failed "
            f"({error.strerror or error}); name a folder on another disk: TMPDIR=FOLDER"
        ) from None
    return np.array(rows, dtype=np.int64), np.array(ends, dtype=np.int64)
