"""The images of a table by number, wherever they are: files in a folder, or bytes in a table.

This is the one contract for all sources: whoever decodes, compares, caches or names images asks
an `ImageList`. Shapes: V images.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from typing_extensions import override

from visual_taxonomy.data.image_paths import folder_states
from visual_taxonomy.data.packed_images import PackedImages

NO_STATE = (-1, -1)
"""Of an image that is not there. No file has this size, so one that appears is a change."""


class ImageList(Sequence[Path | bytes]):
    """V images; each is had when it is asked for, as the path of its file or as its content.

    Args:
        names: [V] str names of files in the folder, or of `packed_name`.
        folder: Of the files; None where there are none.
        packed: Key of `packed_name` -> images.

    Example:
        >>> images = ImageList.of([Path("a/1.jpg"), Path("a/2.jpg")])
        >>> len(images), images[1].name, images.state(1)
        (2, '2.jpg', (-1, -1))
    """

    def __init__(
        self, names: np.ndarray, folder: Path | None, packed: Mapping[str, PackedImages]
    ) -> None:
        self.names, self.folder, self.packed = names, folder, packed

    @classmethod
    def of(cls, images: "ImageList | Sequence[Path]") -> "ImageList":
        """Of files by their paths; a list of images is one already."""
        if isinstance(images, ImageList):
            return images
        return cls(np.array([str(path) for path in images], dtype=np.str_), Path(), {})

    @override
    def __len__(self) -> int:
        """V, the number of images."""
        return len(self.names)

    def image(self, number: int) -> Path | bytes:
        """The file of an image, or its content; empty bytes where there is none."""
        packed = self._packed(number)
        return self._file(number) if packed is None else packed[0](packed[1])

    @overload
    def __getitem__(self, number: int) -> Path | bytes: ...

    @overload
    def __getitem__(self, number: slice) -> "ImageList": ...

    @override
    def __getitem__(self, number: int | slice) -> "Path | bytes | ImageList":
        """As `image`, or the list of some."""
        if isinstance(number, slice):
            return ImageList(self.names[number], self.folder, self.packed)
        return self.image(number)

    def place(self, number: int) -> str:
        """Where an image is: the path of its file, or file, row and column."""
        packed = self._packed(number)
        return str(self._file(number)) if packed is None else packed[0].place(packed[1])

    def state(self, number: int) -> tuple[int, int]:
        """Size in bytes and time of change of the file that an image is, or stands in."""
        packed = self._packed(number)
        if packed is not None:
            return packed[0].origin.size, packed[0].origin.modified_ns
        try:
            found = os.stat(self._file(number))
        except (OSError, ValueError):  # ValueError: a name with a null character
            return NO_STATE
        # Times after the year 2262 do not fit into int64, and np.array would refuse them.
        return found.st_size, found.st_mtime_ns % 2**63

    def states(self) -> np.ndarray:
        """[V, 2] int64 of `state`, by one pass over each folder."""
        files = {name for name in self.names.tolist() if not name.startswith("\0")}
        found = {} if self.folder is None else folder_states(self.folder, files)
        states = [
            self.state(number) if name.startswith("\0") else found.get(name, NO_STATE)
            for number, name in enumerate(self.names.tolist())
        ]
        # Reshaped, or a list without images would have no columns.
        return np.array(states, dtype=np.int64).reshape(-1, 2)

    def identity(self, number: int) -> object:
        """What is the same of two names for one image, such as links to one file."""
        if self._packed(number) is not None:
            return str(self.names[number])
        path = self._file(number)
        try:
            status = path.stat()
        except OSError:
            return path
        # A system that numbers no files would make them all one.
        return (status.st_dev, status.st_ino) if status.st_ino else path

    def _file(self, number: int) -> Path:
        return (self.folder or Path()) / str(self.names[number])

    def _packed(self, number: int) -> tuple[PackedImages, int] | None:
        name = str(self.names[number])
        if not name.startswith("\0"):
            return None
        key, _, place = name[1:].partition(":")
        return self.packed[key], int(place)
