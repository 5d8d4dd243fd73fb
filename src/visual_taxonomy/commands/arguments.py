"""Settings as messages name them, and the flags a person types for them."""

import re
from collections.abc import Container

_SETTING = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]+))?`")


def as_flags(text: str, known: Container[str] | None = None) -> str:
    """A message of the library with the flag of each setting that it names in backticks.

    Args:
        text: The message.
        known: Settings to look for; None: whatever is written like one.

    Example:
        >>> as_flags("`val_ratio` must lie between 0 and 1; use `precision=32`, see `vtax list`")
        '--val_ratio must lie between 0 and 1; use --precision 32, see `vtax list`'
    """

    def flag(found: re.Match[str]) -> str:
        name, value = found.groups()
        if known is not None and name not in known:
            return found.group()
        return f"--{name}" if value is None else f"--{name} {value}"

    return _SETTING.sub(flag, text)
