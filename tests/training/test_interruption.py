import signal
import threading
import time

import pytest

from visual_taxonomy.training.interruption import stop_request, undisturbed

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_a_request(number):
    with stop_request() as stop:
        assert not stop.came
        signal.raise_signal(number)
        assert stop.came


@pytest.mark.parametrize("second", BOTH)
def test_the_second_signal_interrupts_at_once(second):
    with stop_request() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.came
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)


@pytest.mark.parametrize("number", BOTH)
def test_the_previous_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_request():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before
    with pytest.raises(ValueError, match="boom"), stop_request():
        raise ValueError("boom")
    assert signal.getsignal(number) == before


def test_a_signal_does_not_break_off_what_is_running():
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
    with stop_request() as stop:
        timer.start()
        time.sleep(0.2)
        timer.join()
        assert stop.came


def test_a_handler_of_dead_children_waits_for_the_block():
    def strike(number, frame):
        raise RuntimeError("DataLoader worker (pid 7) is killed")

    before = signal.signal(signal.SIGCHLD, strike)
    try:
        done = False
        with undisturbed():
            signal.raise_signal(signal.SIGCHLD)
            done = True
        assert done
        assert signal.getsignal(signal.SIGCHLD) is strike
    finally:
        signal.signal(signal.SIGCHLD, before)
