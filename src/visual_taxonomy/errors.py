"""The exceptions whose messages are written for the person at the keyboard.

Their messages, and warnings and notes too, name a setting in backticks: `val_ratio`, or with a
value `precision=32`. That is how Python calls it; the command line prints its flag instead.
"""


class InputError(ValueError):
    """Something a user gave cannot be used.

    The message names what was given (file, row, column, value), what was expected and the
    remedy. The command line prints it without a traceback and exits with status 2.

    Example:
        >>> raise InputError("train.csv, row 7, column 'len': '3', expected 7")
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: train.csv, row 7, column 'len': '3', expected 7
    """


class SystemLimitError(RuntimeError):
    """The system ended or refused a part of the program, for want of memory as a rule.

    The message says what to change. The command line prints it without a traceback and exits with
    status 1: what was given is not wrong, and the same command may succeed elsewhere.

    Example:
        >>> raise SystemLimitError("a loading process was killed; lower `train_workers`")
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.SystemLimitError: a loading process was killed; lower `train_workers`
    """


def shown(value: object, most: int = 60) -> str:
    r"""A value as messages hold it: on one line, printable, and cut where it is long.

    Example:
        >>> shown("zari\n"), shown("9" * 5000, most=3)
        ('zari\\n', '999... (5,000 characters)')
    """
    text = str(value)
    start = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:most])
    return start if len(text) <= most else f"{start}... ({len(text):,} characters)"
