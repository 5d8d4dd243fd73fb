"""Where commands print, how progress looks there, and the exit statuses they return."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import override

from visual_taxonomy.progress import Advance, Reporter

EXIT_SYSTEM_LIMIT = 1
"""The system ended a part of the program; the same command may succeed with less memory."""
EXIT_INPUT = 2
"""Something given cannot be used."""
EXIT_UNREADABLE = 3
"""Done, but some pictures could not be read."""
EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C or SIGTERM."""

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def progress_bar(console: Console) -> Progress:
    """A bar with count and remaining time; nothing of it stays when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@contextmanager
def show_progress(console: Console, text: str, total: int | None = None) -> Iterator[Advance]:
    """A bar for one job; call what it yields with the number done and, once known, the total.

    Example:
        >>> with show_progress(Console(quiet=True), "drawing", total=3) as advance:
        ...     advance(2)
    """
    with progress_bar(console) as progress:
        bar = progress.add_task(text, total=total)

        def advance(done: int, total: int | None = total, text: str | None = None) -> None:
            progress.update(bar, completed=done, total=total, description=text)

        yield advance


class TerminalReporter(Reporter):
    """Notes and bars on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @override
    def note(self, text: str) -> None:
        self.console.print(text)

    @contextmanager
    @override
    def progress(self, text: str, total: int | None = None) -> Iterator[Advance]:
        with show_progress(self.console, text, total) as advance:
            yield advance


terminal = TerminalReporter(console)
"""The reporter of all commands."""
