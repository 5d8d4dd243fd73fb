"""Run `vtax` in a forked child, which is quick enough to be killed hundreds of times.

The parent has imported everything; a child starts in milliseconds, so that a kill at a random
moment hits the work and not the imports. The parent computes nothing: threads do not survive a
fork.
"""

import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from visual_taxonomy import cli

_LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Args:
        status: Exit status; minus the number of the signal that ended it.
        text: What it printed, both streams.
        seconds: How long it ran.
    """

    status: int
    text: str
    seconds: float

    @property
    def is_clear_refusal(self) -> bool:
        """Whether it is a message for the user, with status 2 and without a traceback."""
        return self.status == 2 and "error:" in self.text and "Traceback" not in self.text

    def __str__(self) -> str:
        tail = " | ".join(self.text.strip().splitlines()[-4:])
        return f"status {self.status} after {self.seconds:.1f} s: {tail}"


class Command:
    """A running `vtax` command.

    Args:
        arguments: Behind `vtax`.
        log: File for what it prints.
        limit_bytes: Largest file it may write: beyond it, writing fails as on a full disk.
    """

    def __init__(self, arguments: list[str], log: Path, limit_bytes: int | None = None) -> None:
        self._log = log
        self._started = time.perf_counter()
        self._pid = os.fork()
        if self._pid == 0:
            _run(arguments, log, limit_bytes)

    def wait(self) -> Outcome:
        """Wait for its end; one that hangs is killed."""
        return self.stop_after(_LIMIT_SECONDS, signal.SIGKILL)

    def stop_after(self, seconds: float, number: signal.Signals) -> Outcome:
        """Let it run for some time, send it a signal if it still runs, and wait for its end."""
        status = self._poll(seconds)
        if status is None:
            os.kill(self._pid, number)
            status = self._poll(_LIMIT_SECONDS)
        if status is None:
            os.kill(self._pid, signal.SIGKILL)
            _, status = os.waitpid(self._pid, 0)
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return Outcome(os.waitstatus_to_exitcode(status), text, time.perf_counter() - self._started)

    def _poll(self, seconds: float) -> int | None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                return status
            time.sleep(0.002)
        return None


def vtax(arguments: list[str], log: Path, limit_bytes: int | None = None) -> Outcome:
    """Run a command to its end."""
    return Command(arguments, log, limit_bytes).wait()


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """A file system in memory at a folder, mounted so; False where this user may not mount."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "soak", str(folder)]
    is_there = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield is_there
    finally:
        if is_there:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _run(arguments: list[str], log: Path, limit_bytes: int | None) -> None:
    """Become the command; never returns."""
    status = 1
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        if limit_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        sys.argv = ["vtax", *arguments]
        cli.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
