"""Ranges of settings; a message names the setting, in backticks, and its value."""

from visual_taxonomy.errors import InputError


def positive(**values: float) -> None:
    """Refuse settings that are not above 0.

    Raises:
        InputError: One is not.
    """
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"`{name}` must be above 0, not {value}")


def not_negative(**values: float) -> None:
    """Refuse settings below 0.

    Raises:
        InputError: One is.
    """
    for name, value in values.items():
        if not value >= 0:
            raise InputError(f"`{name}` must be 0 or more, not {value}")


def below_one(**values: float) -> None:
    """Refuse shares outside of [0, 1).

    Raises:
        InputError: One is.

    Example:
        >>> below_one(dropout=1.0)
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: `dropout` must lie in [0, 1), not 1.0
    """
    for name, value in values.items():
        if not 0 <= value < 1:
            raise InputError(f"`{name}` must lie in [0, 1), not {value}")
