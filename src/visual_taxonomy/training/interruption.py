"""Ctrl-C and SIGTERM as a request to stop at the end of the step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
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
