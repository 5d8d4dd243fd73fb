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

from visual_taxonomy.commands.arguments import as_flags
from visual_taxonomy.commands.screen import Screen
from visual_taxonomy.progress import Advance, Reporter

EXIT_FAILED = 1
"""A fault of this program, or the machine has too little memory."""
EXIT_INPUT = 2
"""Something given cannot be used."""
EXIT_UNREADABLE = 3
"""Done, but some images could not be read."""
# 128 and the number of SIGINT, as shells report it.
EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C or SIGTERM."""

console = Screen()
errors = Screen(stderr=True)


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
        self.console.print(as_flags(text))

    @contextmanager
    @override
    def progress(self, text: str, total: int | None = None) -> Iterator[Advance]:
        with show_progress(self.console, text, total) as advance:
            yield advance


terminal = TerminalReporter(console)
"""The reporter of all commands."""
