"""A text file that grows row by row, and resumes where a killed run left it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO

from filelock import FileLock, Timeout

from visual_taxonomy.atomic import name_full_disk
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.journal import Entry, Stamp, entry_line, first_line, replay

# A power failure costs the rows of about this long: what it may tear is cut off on resuming.
_SYNC_SECONDS = 1.0


class ResumableFile:
    """Rows of a file under a temporary name, and a journal of which of them are complete.

    Beside `out.csv` stand `.out.csv.part` with the rows so far and `.out.csv.part.jsonl`, the
    journal. When the same request comes again, the rows up to the first that does not hold are
    kept: rows whose bytes are not what was written, or whose `stamp` has changed, are cut off
    with all that follow. Another request starts again. Made by `resumable`.

    Args:
        path: The file to make in the end.
        request: What tells this request from others; None starts anew and cannot be resumed.
        stamp: Says what rows were made from.
    """

    def __init__(self, path: Path, request: str | None, stamp: Stamp) -> None:
        self.path = path
        self.partial, self.journal = partial_path(path), journal_path(path)
        self.finished = self.partial
        """What gets the name in the end; set it to a file that is made of the rows, if that is."""
        replayed = replay(self.journal, self.partial, request, stamp)
        self.dropped, self.reason = replayed.dropped, replayed.reason
        self.notes = [entry.note for entry in replayed.entries]
        """What was given as `note` to `append` in the runs before."""
        self.rows = replayed.entries[-1].rows if replayed.entries else 0
        self._chain, self._stamp = replayed.chain, stamp
        self._file = _open_at(self.partial, replayed.entries[-1].size if replayed.entries else 0)
        self._journal = _open_at(self.journal, replayed.size)
        if not replayed.size:
            self._journal.write(first_line(request))
            self._journal.flush()
        self._synced = monotonic()

    def append(self, data: bytes, rows: int, note: object = None) -> None:
        """Write what completes `rows` further rows of the request.

        Args:
            data: Whole lines.
            rows: How many rows of the request they answer.
            note: Plain values to have again in `notes` when the run is resumed.
        """
        # The rows before the line that vouches for them: what a kill leaves in between is cut off.
        self._file.write(data)
        # To the system, not to the disk: a killed process loses nothing that was written so far.
        self._file.flush()
        done = self.rows + rows
        size, stamp = self._file.tell(), self._stamp(self.rows, done)
        digest = self._chain.add(data, done, size, stamp, note)
        self._journal.write(entry_line(Entry(done, size, stamp, note, digest)))
        self._journal.flush()
        self.rows = done
        if monotonic() - self._synced >= _SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        os.fsync(self._file.fileno())
        # Either may reach the disk first: a line whose rows did not does not fit its digest.
        os.fsync(self._journal.fileno())
        self._synced = monotonic()

    def finish(self) -> None:
        """Give the file its name."""
        # On the disk before it has the name, or a power failure leaves the name with half a file.
        os.fsync(self._file.fileno())
        self.close()
        if self.finished != self.partial:
            with self.finished.open("rb") as made:
                os.fsync(made.fileno())
        os.replace(self.finished, self.path)
        # Killed before this, the journal has no rows beside it, or all: either can be resumed.
        self.journal.unlink()
        # It has the name by now, unless another file was made of it.
        self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; they stay, to be resumed."""
        self._file.close()
        self._journal.close()

    def discard(self) -> None:
        """Remove what there is."""
        for path in (self.journal, self.partial, self.finished):
            path.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Where the rows of a file stand until all are there."""
    return path.with_name(f".{path.name}.part")


def journal_path(path: Path) -> Path:
    """Where the journal of a file stands."""
    return path.with_name(f".{path.name}.part.jsonl")


def _open_at(path: Path, size: int) -> IO[bytes]:
    file = path.open("r+b" if size else "wb")
    # What a killed run wrote beyond the last entry of its journal is half a batch.
    file.truncate(size)
    file.seek(size)
    return file


@contextmanager
def resumable(
    path: Path, request: str | None, stamp: Stamp = lambda first, last: ""
) -> Iterator[ResumableFile]:
    r"""A file that has its name only after the block, and whose rows survive a killed run.

    Args:
        path: The file to make; its folder is made if it is not there.
        request: What tells this request from others; None starts anew and leaves nothing behind
            when the block ends with an error.
        stamp: Says what rows were made from: those it says something else of are made again.

    Raises:
        InputError: The disk is full, or another process is writing this file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "out.csv"
        >>> try:
        ...     with resumable(path, "request") as file:
        ...         file.append(b"id\na\n", rows=1)
        ...         raise KeyboardInterrupt
        ... except KeyboardInterrupt:
        ...     pass
        >>> with resumable(path, "request") as file:
        ...     file.rows
        ...     file.append(b"b\n", rows=1)
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
            file = ResumableFile(path, request, stamp)
            try:
                yield file
                file.finish()
            finally:
                file.close()
                if request is None:
                    file.discard()
    finally:
        # While it is held: once released it may be the lock of another process.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
