"""Temporary files and folders: made, told from those of killed processes, and removed.

A writer holds a lock of the operating system on its temporary file. The lock ends with the
process, however that ends, so a file that can be locked is a left-over. Process numbers would not
do: two containers that share a folder do not see each other's processes.
"""

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: left-overs stay there
    fcntl = None  # type: ignore[assignment]

# What `temporary_beside` puts into its names; a looser pattern would remove files of others.
_MARK = "[0-9a-f]{12}"
_ANY = re.compile(rf"\..+\.{_MARK}(\.[^.]*)?", re.DOTALL)


@contextmanager
def temporary_beside(path: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """A hidden path beside `path` that is marked as in use; left-overs of `path` are removed first.

    The name keeps the suffix, which some writers go by. What stands there after the block is the
    caller's to rename or remove.

    Args:
        path: What the temporary file or folder is to become.
        make: Makes it: `Path.touch` or `Path.mkdir`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".note.0123456789ab.txt").touch()  # of a process that was killed
        >>> with temporary_beside(folder / "note.txt", Path.touch) as temporary:
        ...     [temporary] == list(folder.iterdir())
        True
    """
    remove_leftovers_of(path)
    with ExitStack() as locks:
        while True:
            # Not tempfile.mkstemp: its files can be read by their owner only, and would stay so.
            temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
            make(temporary)
            if fcntl is None:
                break
            descriptor = os.open(temporary, os.O_RDONLY)
            locks.callback(os.close, descriptor)
            with suppress(OSError):  # a file system without locks: nobody removes the file either
                # Shared is enough: whoever removes asks for an exclusive lock and is refused. On a
                # network file system, a file open for reading gets no other.
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if temporary.exists():  # else another process took it for a left-over just now
                break
        yield temporary


def remove_leftovers_of(path: Path) -> None:
    """Remove what killed writers of one file or folder left beside it."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.{_MARK}{re.escape(path.suffix)}")
    _remove(path.parent, name)


def remove_leftovers_in(folder: Path) -> None:
    """Remove what killed writers left in a folder that only this program writes to."""
    _remove(folder, _ANY)


def _remove(folder: Path, name: re.Pattern[str]) -> None:
    if fcntl is None:
        return
    with suppress(OSError), os.scandir(folder) as entries:
        # Listed first: a folder that changes while it is scanned may skip entries.
        found = [Path(entry.path) for entry in entries if name.fullmatch(entry.name)]
        for path in found:
            with suppress(OSError):
                # In use, not ours, or gone already: the others have their turn all the same.
                _remove_unless_in_use(path)


def _remove_unless_in_use(path: Path) -> None:
    is_folder = path.is_dir() and not path.is_symlink()
    # A network file system grants the lock only where the file is open for writing.
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Under the lock. A writer that had just made it finds it gone, and makes another.
        shutil.rmtree(path) if is_folder else path.unlink()
    finally:
        os.close(descriptor)
