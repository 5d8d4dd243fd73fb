"""The processes of runs: each its own, so that one that crashes is one run that failed.

Where the system can fork, a server process imports torch once and forks for each run, which saves
seconds of processor time a run. It is Python's own (`multiprocessing.forkserver`).
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from visual_taxonomy.grid import worker

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
_PRELOADED = [
    "visual_taxonomy.cli",
    "visual_taxonomy.training.train",
    "visual_taxonomy.grid.worker",
]


class Process(Protocol):
    """A process that has been started; `subprocess.Popen` is one."""

    def poll(self) -> int | None:
        """Its exit status, below 0 for a signal; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends.

        Raises:
            subprocess.TimeoutExpired: It runs on.
        """
        ...

    def terminate(self) -> None:
        """Ask it to stop."""

    def kill(self) -> None:
        """End it."""


def start_command(command: Sequence[str], log: Path, threads: int) -> Process:
    """Start a command.

    Args:
        command: Program and arguments.
        log: Takes what it prints.
        threads: Of its numerical libraries.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
            # Ctrl-C in the terminal reaches the runner alone, which then stops the others.
            start_new_session=True,
        )


def start_worker(job: Path, log: Path, threads: int) -> Process:
    """Start the run of a job file.

    Args:
        job: The file, as `worker.main` takes it.
        log: Takes what the run prints.
        threads: Of its numerical libraries; that of the first run is that of all.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return start_command([sys.executable, "-m", worker.__name__, str(job)], log, threads)
    log.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with _environment(threads):
        # Here, where the libraries that it loads find the number of their threads.
        forkserver.ensure_running()
    process = context.Process(target=worker.run_in_process, args=(job, log))
    process.start()
    return _Forked(process)


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Forked:
    """A process of multiprocessing, as one of subprocess."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return status

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
