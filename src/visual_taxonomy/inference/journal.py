"""The journal beside a growing file: which of its rows are complete, and whether they still hold.

The first line names the request. Each further line stands for one batch of rows:
`[rows, size, stamp, note, digest]`. The digest covers the bytes of the file and the journal up to
that line. So a line holds only if all before it is on the disk as it was written.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Stamp = Callable[[int, int], str]
"""What the rows first ... last - 1 were made from; another text when that has changed since."""

OTHER_REQUEST = "another model, CSV or option was asked for"
CHANGED = "images have changed since"
DAMAGED = "the file was damaged, for example by a power failure"

# 128 bits: no damage passes by chance, and a line of the journal stays short.
_DIGEST_BYTES = 16


class Entry(NamedTuple):
    """A line of the journal."""

    rows: int
    """Rows of the request that are done."""
    size: int
    """Bytes of the file that hold them."""
    stamp: str
    """What the rows of this line were made from."""
    note: Any
    """What the caller wants back."""
    digest: str
    """Of everything up to here."""


class Chain:
    r"""A running digest of the file and its journal.

    Example:
        >>> Chain("r").add(b"a", 1, 1, "", None) == Chain("r").add(b"\0", 1, 1, "", None)
        False
    """

    def __init__(self, request: str | None) -> None:
        self._digest = hashlib.blake2b(_line({"request": request}), digest_size=_DIGEST_BYTES)

    def add(self, data: bytes, rows: int, size: int, stamp: str, note: object) -> str:
        """The digest after further bytes of the file and the line that stands for them."""
        self._digest.update(data)
        self._digest.update(_line([rows, size, stamp, note]))
        return self._digest.hexdigest()

    def follows(self, data: bytes, entry: Entry) -> bool:
        """Whether an entry and its bytes are what was written; they are added if so."""
        # A line that does not follow must leave the chain as it was: the next batch is added to it.
        before = self._digest.copy()
        if self.add(data, *entry[:4]) == entry.digest:
            return True
        self._digest = before
        return False


class Replay(NamedTuple):
    """What of an interrupted run can be kept."""

    entries: list[Entry]
    """The lines that hold."""
    size: int
    """Bytes of the journal up to the last of them; 0 to start it again."""
    chain: Chain
    """The digest up to there."""
    dropped: int = 0
    """Rows that were complete and are not kept."""
    reason: str = ""
    """Why they are not."""


def first_line(request: str | None) -> bytes:
    """The line that names the request."""
    return _line({"request": request})


def entry_line(entry: Entry) -> bytes:
    """The line of an entry."""
    return _line(entry)


def replay(journal: Path, partial: Path, request: str | None, stamp: Stamp) -> Replay:
    """Read what an earlier run left, up to the first line that does not hold.

    Args:
        journal: The journal.
        partial: The growing file.
        request: What tells this request from others; None keeps nothing.
        stamp: Of the rows as they are now.
    """
    nothing = Replay([], 0, Chain(request))
    if request is None or not (journal.exists() and partial.exists()):
        return nothing
    # JSON escapes line ends, so none stands within an entry.
    first, *lines = journal.read_bytes().splitlines(keepends=True) or [b""]
    # The rows are of another model or CSV; they are counted only to tell the user.
    if first != first_line(request):
        written = [entry.rows for entry in map(_entry, lines) if entry]
        return nothing._replace(dropped=max(written, default=0), reason=OTHER_REQUEST)
    return _replay_lines(lines, partial, Chain(request), stamp, len(first))


def _replay_lines(
    lines: list[bytes], partial: Path, chain: Chain, stamp: Stamp, size: int
) -> Replay:
    written, rows, position = partial.stat().st_size, 0, 0
    entries: list[Entry] = []
    reason = DAMAGED
    with partial.open("rb") as file:
        for line in lines:
            entry = _entry(line)
            # More than was written: the journal reached the disk, the rows did not.
            if entry is None or not (position <= entry.size <= written and rows <= entry.rows):
                break
            if entry.stamp != stamp(rows, entry.rows):
                reason = CHANGED
                break
            if not chain.follows(file.read(entry.size - position), entry):
                break
            entries.append(entry)
            rows, position, size = entry.rows, entry.size, size + len(line)
    # The lines after the first that fails say how much must be done again, if they can be read.
    claimed = [entry.rows for entry in map(_entry, lines[len(entries) :]) if entry]
    dropped = max(0, max(claimed, default=0) - rows)
    return Replay(entries, size, chain, dropped, reason if dropped else "")


def _entry(line: bytes) -> Entry | None:
    """A line of the journal; None for half of one."""
    # Cut off while it was written; a shorter number in it would still be JSON.
    if not line.endswith(b"\n"):
        return None
    try:
        entry = Entry(*json.loads(line))
    except (ValueError, TypeError, RecursionError):  # what a power failure left
        return None
    numbers = isinstance(entry.rows, int) and isinstance(entry.size, int)
    return entry if numbers and isinstance(entry.stamp, str) else None


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
