"""Refuse to read what is no file: a named pipe, a socket or a device has no end, or none yet."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visual_taxonomy.errors import InputError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def irregular_kind(path: Path) -> str | None:
    """What stands at `path` if reading it could wait for ever; None for a file or a folder.

    Decided before anything is opened: a named pipe without a writer would hang in `open`, and
    some devices act when they are opened.

    Raises:
        OSError: There is nothing, or it may not be looked at.

    Example:
        >>> irregular_kind(Path("/dev/null")), irregular_kind(Path("/"))
        ('a device', None)
    """
    mode = path.stat().st_mode
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)


def require_regular(path: Path) -> None:
    """Refuse a path that holds no file.

    Raises:
        InputError: There is a named pipe, a socket or a device.
        OSError: There is nothing; left to the reader, which knows what to say.
    """
    kind = irregular_kind(path)
    if kind is not None:
        raise InputError(f"{path}: is {kind}, which cannot be read twice; save it as a file first")


@contextmanager
def reading(path: Path, check: str) -> Iterator[None]:
    """Say in one way why a file that the block reads cannot be read.

    Args:
        path: The file.
        check: What to check if it is not there.

    Raises:
        InputError: There is nothing, no file, or nothing that may be read.

    Example:
        >>> with reading(Path("no.csv"), "the path"):
        ...     Path("no.csv").read_text()
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: no.csv: no such file; check the path
    """
    try:
        require_regular(path)
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check {check}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name the file in it") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); check the path"
        ) from None
