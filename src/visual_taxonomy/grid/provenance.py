"""What a run was made of: digests of its rows and of the code, and the machine."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import polars as pl

from visual_taxonomy.version import __version__

_PACKAGE = Path(__file__).resolve().parent.parent
_GIT_SECONDS = 10
"""A repository on a network disk that takes longer gets no commit."""


def digest_of_data(rows: pl.DataFrame) -> str:
    """Digest of what `data_record.record` gives: ids, labels, sizes and times of the images.

    Example:
        >>> rows = pl.DataFrame({"id": ["7"], "labels": [1], "size": [2], "modified_ns": [3]})
        >>> len(digest_of_data(rows)), digest_of_data(rows) == digest_of_data(rows[:0])
        (16, False)
    """
    return hashlib.sha256(rows.write_csv().encode("utf-8", "surrogatepass")).hexdigest()[:16]


@cache
def code() -> Mapping[str, str | None]:
    """Version, commit of the repository if there is one, and a digest of the package's source."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return {
        "code_version": __version__,
        "code_commit": _commit(),
        "code_digest": digest.hexdigest()[:16],
    }


def _commit() -> str | None:
    # An installed package may lie within a repository that is not its own.
    if not (_PACKAGE.parent.parent / "pyproject.toml").is_file():
        return None
    with suppress(OSError, subprocess.SubprocessError):
        found = subprocess.run(
            ["git", "-C", str(_PACKAGE), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_SECONDS,
        )
        return found.stdout.strip()
    return None


def processor_seconds() -> float:
    """Processor time of this process and of those it has started and waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
