"""A console that prints what it is given, whatever terminal or pipe is behind it."""

import os
import re
import sys
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text
from typing_extensions import override

STDOUT = "standard output"


class Screen(Console):
    """A console for messages that hold paths and class names of users.

    Square brackets and `:words:` are printed as they are, not taken for markup or emoji. Lines end
    at words in a terminal; elsewhere, and for words longer than a line, no line is broken, so
    that a path can be copied.

    Raises:
        OSError: From `print`, when nothing can be written; its `filename` says so.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    @override
    def print(self, *objects: Any, **options: Any) -> None:
        if self.is_terminal and not options.get("soft_wrap"):
            objects = tuple(_at_words(entry, self.width) for entry in objects)
        options.setdefault("soft_wrap", True)
        try:
            super().print(*objects, **options)
        except OSError as error:
            error.filename = "standard error" if self.stderr else STDOUT
            raise

    @override
    def on_broken_pipe(self) -> None:
        raise  # the error that rich is handling; rich would end the process without a word


def _at_words(entry: Any, width: int) -> Any:  # noqa: ANN401 - whatever rich prints
    """Text with line ends between words; rich would break a word that is longer than a line."""
    if not isinstance(entry, str | Text):
        return entry
    text = Text(entry) if isinstance(entry, str) else entry.copy()
    characters, plain, start = list(text.plain), text.plain, 0
    for word in re.finditer(r"\S+", plain):
        start = max(start, plain.rfind("\n", start, word.start()) + 1)
        if word.end() - start > width and plain[start : word.start()].strip():
            characters[word.start() - 1] = "\n"
            start = word.start()
    text.plain = "".join(characters)  # of the same length, so colours stay where they are
    return text


def make_streams_lenient() -> None:
    r"""Show characters that the terminal lacks as escapes: `\xe9` instead of an error.

    This is for ASCII terminals, and for file names that are not valid Unicode.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush_output() -> None:
    """Write what is buffered while there is somebody to tell that it failed.

    Raises:
        OSError: It cannot be written.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        error.filename = STDOUT
        raise


def drop_unwritable_output() -> None:
    """Let the buffered rest go, or the interpreter fails once more with it when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _discard(stream)


def _discard(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        # The descriptor, not the object: the interpreter flushes the stream again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
