"""How long jobs say what they do: notes, and the progress of a job. Silent unless asked.

The command line shows both in the terminal (`commands/terminal.py`); a library user passes any
object with these two methods, or nothing.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from typing_extensions import override

_log = logging.getLogger(__name__)


class Advance(Protocol):
    """What a job calls as it moves on."""

    def __call__(self, done: int, total: int | None = None, text: str | None = None) -> None:
        """Say how much of the job is done.

        Args:
            done: Units of work.
            total: Of all, where it is known only now.
            text: What stands beside the bar from now on.
        """


class Reporter(Protocol):
    """Where a long job says what it does."""

    def note(self, text: str) -> None:
        """Show a line that stays."""

    def progress(self, text: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Show a job while the block runs; call what the block gets to move on.

        Args:
            text: What the job is.
            total: Units of work, if known.
        """
        ...


class SilentReporter(Reporter):
    """Shows nothing; notes go to the log (`visual_taxonomy.progress`, level INFO).

    Example:
        >>> with SILENT.progress("drawing", total=3) as advance:
        ...     advance(2)
    """

    @override
    def note(self, text: str) -> None:
        _log.info(text)

    @contextmanager
    @override
    def progress(self, text: str, total: int | None = None) -> Iterator[Advance]:
        def advance(done: int, total: int | None = None, text: str | None = None) -> None:
            del done, total, text

        yield advance


SILENT = SilentReporter()
"""The default of everything that reports."""
