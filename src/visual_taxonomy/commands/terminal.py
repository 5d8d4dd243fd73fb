"""Where commands print, and the exit statuses they return."""

from rich.console import Console

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
