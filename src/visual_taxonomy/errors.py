"""The one exception whose message is written for the person at the keyboard."""


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
