"""Ctrl-C and SIGTERM as a request to stop at the end of the step; work no signal breaks off."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class StopRequest:
    """Whether a signal has come; the second one interrupts at once."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.came:
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """While the block runs, SIGINT and SIGTERM set `came` and do nothing else.

    Example:
        >>> with stop_request() as stop:
        ...     signal.raise_signal(signal.SIGINT)
        ...     stop.came
        True
    """
    request = StopRequest()
    previous = {
        number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """While the block runs, no loading process that dies raises an error in the midst of it.

    Torch's handler of SIGCHLD does that wherever the program is, also where it is tidying up
    after the same death. It raises once for each loader.
    """
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGCHLD)
    with suppress(RuntimeError):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Again, for the signal that came right then: the first call may have raised before it acted.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)
