"""Where a command may write: never over what it reads, nor over a file without being told to."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from visual_taxonomy.errors import InputError


def check_output(flag: str, path: Path, inputs: Iterable[Path | None], overwrite: bool) -> None:
    """Refuse to write a file, before any work is done for it.

    Args:
        flag: The flag that names the file.
        path: The file to write.
        inputs: Files that the command reads; None for those that were not given.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: It is one of the inputs, be it by a link; it is no regular file; or it exists
            and may not be replaced.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.csv").touch()
        >>> check_output("--out", folder / "a.csv", [folder / "a.csv"], overwrite=True)
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: --out ...a.csv: this command reads it; name another file
    """
    for source in inputs:  # one that is missing has a message of its own where it is read
        if source is not None and _is_same(source, path):
            alias = "" if source == path else f" as {source}"
            raise InputError(f"{flag} {path}: this command reads it{alias}; name another file")
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise InputError(f"{flag} {path}: is {kind}, expected a file; name another one")
    # A broken link counts: writing through it would make a file somewhere else.
    if not overwrite and os.path.lexists(path):
        raise InputError(
            f"{flag} {path}: already exists; name another file, or replace it with --overwrite"
        )


def is_report(path: Path, *keys: str) -> bool:
    """Whether a file is a JSON object with these keys: a report that its command may replace.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "report.json"
        >>> _ = path.write_text('{"hm": 0.5, "categories": {}}')
        >>> is_report(path, "hm", "categories"), is_report(path, "measurements")
        (True, False)
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() >= set(keys)


def _is_same(source: Path, path: Path) -> bool:
    # samefile fails where one of the two is missing.
    return source.exists() and path.exists() and source.samefile(path)
