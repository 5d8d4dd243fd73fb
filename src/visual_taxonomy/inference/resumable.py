"""A CSV that grows row by row, and goes on where a run that was killed left it."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from filelock import FileLock, Timeout

from visual_taxonomy.atomic import name_full_disk
from visual_taxonomy.errors import InputError


class Entry(NamedTuple):
    """A line of the journal."""

    rows: int
    """Rows of the request that are done."""
    size: int
    """Bytes of the file that hold them."""
    note: Any
    """What the caller wants back."""


_NOTHING = Entry(0, 0, None)


class ResumableCsv:
    """Rows of a CSV under a temporary name, and a journal of which of them are complete.

    Beside `out.csv` stand `.out.csv.part` with the rows so far and `.out.csv.part.jsonl`: the
    request, then a line for each `append`. When the same request comes again, what stands behind
    the last complete line of the journal is cut off; another request starts anew. Made by
    `resumable`.

    Args:
        path: The CSV to make in the end.
        request: What tells this request from others; None starts anew and cannot be resumed.
    """

    def __init__(self, path: Path, request: str | None) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.part")
        self.journal = path.with_name(f".{path.name}.part.jsonl")
        self._entries, journal_size = self._read_journal(request)
        self.rows, size, _ = self._entries[-1] if self._entries else _NOTHING
        self._file = _open_at(self.partial, size)
        self._journal = _open_at(self.journal, journal_size)
        if not self._entries:
            self._write_journal({"request": request})

    @property
    def notes(self) -> list[Any]:
        """What was given as `note` to `append` in the runs before."""
        return [note for _, _, note in self._entries]

    def append(self, lines: Iterable[Sequence[str]], rows: int, note: object = None) -> None:
        """Write lines that complete `rows` further rows of the request.

        Args:
            lines: Of the CSV.
            rows: How many rows of the request they answer.
            note: Plain values to have again in `notes` when the run is resumed.
        """
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._file.write(text.getvalue().encode())
        self._file.flush()
        self.rows += rows
        self._write_journal((self.rows, self._file.tell(), note))

    def finish(self) -> None:
        """Give the file its name."""
        os.fsync(self._file.fileno())
        self.close()
        os.replace(self.partial, self.path)
        self.journal.unlink()

    def close(self) -> None:
        """Close the files; they stay, to be resumed."""
        self._file.close()
        self._journal.close()

    def discard(self) -> None:
        """Remove what there is."""
        for path in (self.journal, self.partial):
            path.unlink(missing_ok=True)

    def _read_journal(self, request: str | None) -> tuple[list[Entry], int]:
        """The entries that hold, and the bytes of the journal up to the last of them."""
        if request is None or not (self.journal.exists() and self.partial.exists()):
            return [], 0
        first = _line({"request": request})
        content = self.journal.read_bytes()
        if not content.startswith(first):
            return [], 0
        written = self.partial.stat().st_size
        entries, size = [], len(first)
        for line in content[size:].splitlines(keepends=True):
            entry = _entry(line)
            if entry is None or entry.size > written:
                break
            entries.append(entry)
            size += len(line)
        return entries, size

    def _write_journal(self, note: object) -> None:
        self._journal.write(_line(note))
        self._journal.flush()


def _entry(line: bytes) -> Entry | None:
    """A line of the journal; None for half of one."""
    if not line.endswith(b"\n"):
        return None
    try:
        return Entry(*json.loads(line))
    except (ValueError, TypeError):  # what a power failure left
        return None


def _open_at(path: Path, size: int) -> IO[bytes]:
    file = path.open("r+b" if size else "wb")
    file.truncate(size)
    file.seek(size)
    return file


def _line(note: object) -> bytes:
    return json.dumps(note).encode() + b"\n"


@contextmanager
def resumable(path: Path, request: str | None) -> Iterator[ResumableCsv]:
    """A CSV that has its name only after the block, and whose rows survive a run without end.

    Args:
        path: The CSV to make; its folder is made if it is not there.
        request: What tells this request from others; None starts anew and leaves nothing behind
            when the block ends with an error.

    Raises:
        InputError: The disk is full, or another process is writing this file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "out.csv"
        >>> try:
        ...     with resumable(path, "request") as file:
        ...         file.append([["id"], ["a"]], rows=1)
        ...         raise KeyboardInterrupt
        ... except KeyboardInterrupt:
        ...     pass
        >>> with resumable(path, "request") as file:
        ...     file.rows
        ...     file.append([["b"]], rows=1)
        1
        >>> path.read_text().split()
        ['id', 'a', 'b']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{path}: another process is writing it; wait, or name another") from None
    try:
        with name_full_disk(path):
            file = ResumableCsv(path, request)
            try:
                yield file
                file.finish()
            finally:
                file.close()
                if request is None:
                    file.discard()
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
