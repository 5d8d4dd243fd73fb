"""Runs in parallel processes: who starts when, and what becomes of those that fail.

A process writes its own row (`worker.py`), so it need not outlive the one that started it. What
ends without a row has failed, and gets one here with its exit status and its last words.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visual_taxonomy.grid.ledger import FAILED, Ledger
from visual_taxonomy.grid.processes import Process
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.training.interruption import stop_request

_POLL_SECONDS = 0.1
_STOP_SECONDS = 60.0
"""A run that is asked to stop ends its step and saves; after this long it is killed."""

_TAIL_BYTES = 8192
"""Of the end of a log, where the last message is looked for."""


@dataclass(frozen=True)
class Job:
    """A run that is to be done.

    Args:
        row: Of the ledger, as far as it is known beforehand; its digest is the job's name.
        log: File that takes what its process prints.
        shares: Name of a cache that the first job of this name fills, before others start; None
            for none.
    """

    row: Mapping[str, Any]
    log: Path
    shares: str | None = None

    @property
    def digest(self) -> str:
        """The name of the run."""
        return str(self.row["digest"])


Start = Callable[[Job], Process]
"""Starts the process that does a run and writes its row."""


@dataclass
class _Running:
    job: Job
    process: Process
    started: datetime
    held: ExitStack
    """The lock on the run."""


@dataclass
class Runner:
    """Does jobs, some at a time; jobs that have a row, and those that others do, are left out.

    Args:
        ledger: Takes the rows.
        start: Starts the process of a job.
        num_jobs: Processes at a time.
        reporter: Shows progress.
    """

    ledger: Ledger
    start: Start
    num_jobs: int = 1
    reporter: Reporter = SILENT
    _running: list[_Running] = field(default_factory=list)
    _filled: set[str] = field(default_factory=set)

    def run(self, jobs: Sequence[Job]) -> bool:
        """Do all jobs; False if Ctrl-C or SIGTERM came.

        Jobs that another process does at the same time are waited for.
        """
        waiting = [job for job in jobs if not self.ledger.has(job.digest)]
        total = len(waiting)
        with stop_request() as stop, self.reporter.progress("runs", total) as advance:
            try:
                while (waiting or self._running) and not stop.came:
                    self._start_some(waiting)
                    self._collect()
                    left = len(waiting) + len(self._running)
                    names = "; ".join(str(each.job.row["name"]) for each in self._running)
                    advance(total - left, total, names or "runs of another process")
                    time.sleep(_POLL_SECONDS)
            finally:
                self._stop_all()
        return not stop.came

    def _start_some(self, waiting: list[Job]) -> None:
        """Start what there is room for, and drop what others have done."""
        for job in list(waiting):
            if self.ledger.has(job.digest):
                waiting.remove(job)
            elif len(self._running) < self.num_jobs and self._may_share(job):
                held = ExitStack()
                # A run that is held stays in the list: its holder may be killed.
                if held.enter_context(self.ledger.claim(job.digest)) and not self.ledger.has(
                    job.digest
                ):
                    waiting.remove(job)
                    process = self.start(job)
                    self._running.append(_Running(job, process, datetime.now(UTC), held))
                else:
                    held.close()

    def _may_share(self, job: Job) -> bool:
        """Whether the cache that a job reads is filled, or nobody fills it now."""
        if job.shares is None or job.shares in self._filled:
            return True
        return all(each.job.shares != job.shares for each in self._running)

    def _collect(self) -> None:
        """Write the rows of what has failed, and merge the rows of what has ended."""
        ended = [each for each in self._running if each.process.poll() is not None]
        for each in ended:
            self._running.remove(each)
            digest, name = each.job.digest, each.job.row["name"]
            if not self.ledger.has(digest):
                reason = _reason(each.process.wait(), each.job.log)
                self.ledger.add(_failed(each, reason))
                self.reporter.note(f"{name}: failed: {reason}")
            elif each.job.shares is not None:
                self._filled.add(each.job.shares)
            # Only now: whoever gets the lock finds the row.
            each.held.close()
        if ended:
            self.ledger.merge()

    def _stop_all(self) -> None:
        """Ask all processes to stop, and end those that do not."""
        for each in self._running:
            each.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for each in self._running:
            try:
                each.process.wait(max(0.0, deadline - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C
                each.process.kill()
                each.process.wait()
            each.held.close()
        self._running.clear()


def _failed(each: _Running, reason: str) -> dict[str, Any]:
    ended = datetime.now(UTC)
    return {
        **each.job.row,
        "started": each.started.isoformat(" ", "seconds"),
        "ended": ended.isoformat(" ", "seconds"),
        "seconds": (ended - each.started).total_seconds(),
        "status": FAILED,
        "reason": reason,
    }


def _reason(status: int, log: Path) -> str:
    """How a process ended, and the last line it printed.

    Example:
        >>> import tempfile
        >>> log = Path(tempfile.mkdtemp()) / "log.txt"
        >>> _ = log.write_text("epoch 1" + chr(10))
        >>> _reason(-9, log)
        'killed by SIGKILL (the system does that when memory runs out); last line: epoch 1'
    """
    if status < 0:
        number = -status
        known = {each.value: each.name for each in signal.Signals}
        how = f"killed by {known.get(number, f'signal {number}')}"
        if number == getattr(signal, "SIGKILL", None):
            how += " (the system does that when memory runs out)"
    else:
        how = f"exit status {status}"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{how}; last line: {last}" if last else f"{how}; it printed nothing"
