"""The file of a feature cache: NumPy's .npy, with checksums of its blocks behind it.

    .npy header and float32 values | CRC-32 of each block | bytes of the .npy part | MAGIC

`np.load` reads it as any .npy, because a header says how many values follow.
"""

import mmap
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.cores import available_cores
from visual_taxonomy.errors import InputError

MAGIC = b"vtaxcrc1"
# 16 MB: large enough that starting a thread costs nothing, small enough that all cores have work.
BLOCK_BYTES = 1 << 24
# At the end, where np.load does not look, so other programs read the file as it is.
_END = struct.Struct("<Q8s")


def add_checksums(path: Path) -> None:
    """Append the checksums to a complete .npy file."""
    with path.open("rb+") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            size, checksums = len(content), _checksums(content, len(content))
        file.seek(size)
        file.write(checksums.tobytes() + _END.pack(size, MAGIC))


def open_features(path: Path) -> Tensor:
    """Features of a file with checksums, mapped, so processes share them.

    Every byte is read once here and compared, 0.3 s a gigabyte and core (benchmarks/checksums.py).
    The first epoch then finds it in the system's cache.

    Raises:
        InputError: The file is damaged, or has no checksums.
        FileNotFoundError: There is none.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "features.npy"
        >>> np.save(path, np.ones((1, 2, 3), np.float32))
        >>> add_checksums(path)
        >>> open_features(path).shape
        torch.Size([1, 2, 3])
    """
    with path.open("rb") as file:
        # An empty file cannot be mapped, and there must be an end to unpack.
        if path.stat().st_size < _END.size:
            _refuse(path, "cut off")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check(path, content)
    try:
        # "c": of an array that is read-only, torch would warn.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (ValueError, EOFError, TypeError) as error:
        _refuse(path, str(error))


def _check(path: Path, content: mmap.mmap) -> None:
    size, magic = _END.unpack(content[-_END.size :])
    if magic != MAGIC:
        _refuse(path, "no checksums at its end: cut off, or of an earlier version")
    # `size` is of the file, and may be anything: nothing is read by it before it fits.
    if len(content) != size + 4 * -(-size // BLOCK_BYTES) + _END.size:
        _refuse(path, "its size is not the one it was written with")
    # A slice of a map is a copy, so no view of it is left when it is to be closed.
    kept = np.frombuffer(content[size : -_END.size], "<u4")
    wrong = np.flatnonzero(kept != _checksums(content, size))
    if len(wrong):
        _refuse(path, f"a checksum differs near byte {int(wrong[0]) * BLOCK_BYTES:,}")


def _checksums(content: mmap.mmap, size: int) -> np.ndarray:
    def checksum(start: int) -> int:
        # Both released at once: a map cannot be closed while a view of it exists.
        with memoryview(content) as view, view[start : min(start + BLOCK_BYTES, size)] as block:
            return zlib.crc32(block)  # lets other threads run meanwhile

    with ThreadPoolExecutor(available_cores()) as pool:
        return np.array(list(pool.map(checksum, range(0, size, BLOCK_BYTES))), "<u4")


def _refuse(path: Path, problem: str) -> NoReturn:
    raise InputError(
        f"{path}: damaged ({problem}); delete it, and the next start computes the features again"
    )
