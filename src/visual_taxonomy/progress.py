"""One look for all progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


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
def show_progress(
    console: Console, text: str, total: int | None = None
) -> Iterator[Callable[..., None]]:
    """A bar for one job; call what it yields with the number done and, once known, the total.

    Example:
        >>> with show_progress(Console(quiet=True), "drawing", total=3) as advance:
        ...     advance(2)
    """
    with progress_bar(console) as progress:
        bar = progress.add_task(text, total=total)

        def advance(done: int, total: int | None = total) -> None:
            progress.update(bar, completed=done, total=total)

        yield advance
