"""Parse the command line; what is wrong with it becomes an `InputError` without a frame."""

import io
import os
import re
from contextlib import redirect_stderr, suppress
from typing import Any

import tyro

from visual_taxonomy.errors import InputError

_DESCRIPTION = (
    "Predict many attributes of a product from its image.\n"
    "`vtax COMMAND --config FILE.toml` reads flags from a file.\n"
    "`vtax --version` prints the version."
)
_WIDE = "9999"
_RULE = re.compile(r"\s*([╭╰]|[─-]{3}|$)")


def parse(commands: Any, arguments: list[str]) -> Any:  # noqa: ANN401 - a type, as tyro wants it
    """The dataclass of the command that was named, from the flags.

    Raises:
        InputError: A flag is missing, unknown or wrong; paths in the message are in one piece.
        SystemExit: Help was asked for, and has been printed.
    """
    try:
        with redirect_stderr(io.StringIO()):
            return _tyro(commands, arguments)
    except SystemExit as stop:
        if not stop.code:
            raise
        refused = _refused_by_us(stop)
    # Out here, where tyro's SystemExit is no longer its context.
    raise refused or InputError(_usage_error(commands, arguments))


def _tyro(commands: Any, arguments: list[str]) -> Any:  # noqa: ANN401
    return tyro.cli(
        commands,
        prog="vtax",
        description=_DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
        use_underscores=True,
    )


def _refused_by_us(stop: SystemExit) -> InputError | None:
    """The error that a dataclass raised when tyro made it, which tyro reports as its own."""
    cause: BaseException | None = stop
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__context__
    return cause


def _usage_error(commands: Any, arguments: list[str]) -> str:  # noqa: ANN401
    """What tyro says about the arguments, without the frame and in lines as long as need be.

    It breaks lines, also within a path, at the width of the terminal; so it formats once more.
    """
    message, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDE
    try:
        with redirect_stderr(message), suppress(SystemExit):
            _tyro(commands, arguments)
    finally:
        del os.environ["COLUMNS"]
        if columns is not None:
            os.environ["COLUMNS"] = columns
    lines = [line.removeprefix("│ ").rstrip(" │") for line in message.getvalue().split("\n")]
    return "\n".join(line for line in lines if not _RULE.match(line))
