"""Tell whether an error means that a process that loads images has died."""

import traceback

# How torch's own message starts.
_KILLED = "DataLoader worker"

# How torch's message starts when a process passes on an error, and so was alive.
_PASSED_ON = "Caught "


def reason_of_death(error: BaseException) -> str | None:
    """What is known of a loading process that the system has ended; None for any other error.

    Torch says so itself if it notices first. Otherwise the connection to the process breaks while
    a batch comes through it, which is an OSError or EOFError inside the loader. Either may hide
    behind a later error: torch's message strikes anywhere, also while a checkpoint is written.

    Example:
        >>> reason_of_death(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
        'DataLoader worker (pid 7) is killed by signal: Killed'
        >>> reason_of_death(RuntimeError("shapes differ"))
        >>> reason_of_death(EOFError())
    """
    following = error.__cause__ or error.__context__
    return _reason(error) or (None if following is None else reason_of_death(following))


def _reason(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, RuntimeError) and text.startswith(_KILLED):
        return text.splitlines()[0].strip(" .")
    if not isinstance(error, OSError | EOFError) or text.startswith(_PASSED_ON):
        return None
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if any(name.replace("\\", "/").endswith("utils/data/dataloader.py") for name in files):
        return f"the connection to it broke: {text or type(error).__name__}"
    return None
