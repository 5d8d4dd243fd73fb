"""Where commands print, and the exit statuses they return."""

from visual_taxonomy.commands.screen import Screen

EXIT_FAILED = 1
"""A fault of this program, or the machine has too little memory."""
EXIT_INPUT = 2
"""Something given cannot be used."""
EXIT_UNREADABLE = 3
"""Done, but some pictures could not be read."""
EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C or SIGTERM."""

console = Screen()
errors = Screen(stderr=True)
