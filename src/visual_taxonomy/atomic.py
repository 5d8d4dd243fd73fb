"""Write files so that a crash or a full disk leaves the previous file as it was."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visual_taxonomy.errors import InputError
from visual_taxonomy.leftovers import temporary_beside

# The disk is full, or the share of it that the user has.
_FULL = (errno.ENOSPC, errno.EDQUOT)
# A disk with less than this free is full: the piece that did not fit leaves some bytes unused.
_NO_ROOM_BYTES = 64 * 1024


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends without an error.

    The file is flushed to the disk before it takes the old one's place. After an error it is
    removed, and the previous file stays. What a killed process left is removed by the next writer
    of the same path. The folder is made if it is not there.

    Raises:
        InputError: The disk is full, also where the writer reports that in its own way (torch
            and polars hide the error number).

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with write_atomically(path) as temporary:
        ...     _ = temporary.write_text("done")
        >>> path.read_text()
        'done'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with name_full_disk(path), temporary_beside(path, Path.touch) as temporary:
        try:
            yield temporary
            # The writer has closed it, but the system may have it in memory only: after a power
            # failure, the rename could be on the disk and the content not.
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            # After the rename, nothing has this name any more.
            temporary.unlink(missing_ok=True)


@contextmanager
def name_full_disk(path: Path) -> Iterator[None]:
    """Say which file was being written when the disk was full.

    Raises:
        InputError: The disk is full; other errors pass as they are.
    """
    try:
        yield
    except Exception as error:
        if _is_disk_full(error, path.parent):
            raise InputError(
                f"{path}: no space left on the disk; free some or name a folder on another disk "
                "(the previous file, if there was one, is unchanged)"
            ) from error
        # The error itself names the temporary file, or none; the command line shows this path.
        error.add_note(f"while writing {path}")
        raise


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text atomically, line ends as they are.

    Raises:
        InputError: The disk is full.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new" / "note.txt"
        >>> write_text(path, "zari\n")
        >>> path.read_bytes()
        b'zari\n'
    """
    with write_atomically(path) as temporary:
        # Otherwise Windows would write other line ends, and equal files would differ.
        temporary.write_text(text, encoding="utf-8", newline="")


def link_or_copy(source: Path, path: Path) -> None:
    """Give a file a second name: a hard link, or a copy where the file system has none.

    Only for files that are replaced as a whole, never changed in place.

    Raises:
        InputError: The disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_text(folder / "a.txt", "zari")
        >>> link_or_copy(folder / "a.txt", folder / "b.txt")
        >>> (folder / "b.txt").read_text()
        'zari'
    """
    with write_atomically(path) as temporary:
        temporary.unlink()  # a link needs a name that is free
        try:
            os.link(source, temporary)
        except OSError:  # FAT, some network drives, and folders that are mounted with restrictions
            shutil.copyfile(source, temporary)


def _is_disk_full(error: Exception, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    # torch, safetensors and polars raise errors of their own without the system's error number.
    return shutil.disk_usage(folder).free < _NO_ROOM_BYTES
