import io

import pytest
from rich.console import Console

from visual_taxonomy.commands.terminal import TerminalReporter, progress_bar, show_progress


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_shows_its_text_and_the_count():
    console = terminal()
    with show_progress(console, "comparing images", total=7) as advance:
        advance(3)
    assert "comparing images" in written(console)
    assert "3/7" in written(console)


def test_the_total_may_become_known_on_the_way():
    console = terminal()
    with show_progress(console, "comparing") as advance:
        advance(2, 9)
    assert "2/9" in written(console)


def test_nothing_of_a_bar_stays():
    console = terminal()
    with progress_bar(console) as progress:
        progress.add_task("drawing", total=2)
    assert progress.live.transient


def test_a_bar_ends_when_the_job_fails():
    console = terminal()
    with pytest.raises(ValueError, match="boom"), show_progress(console, "drawing", total=2):
        raise ValueError("boom")
    with show_progress(console, "again", total=1) as advance:  # rich allows one bar at a time
        advance(1)
    assert "1/1" in written(console)


def test_a_quiet_console_stays_quiet():
    console = Console(file=io.StringIO(), quiet=True)
    with show_progress(console, "drawing", total=2) as advance:
        advance(1)
    assert written(console) == ""


def test_a_reporter_prints_its_notes_and_shows_the_text_that_changes():
    console = terminal()
    reporter = TerminalReporter(console)
    with reporter.progress("", total=4) as advance:
        advance(1, text="epoch 1")
        reporter.note("a note")
        advance(2)
    assert "a note" in written(console)
    assert "epoch 1" in written(console)
    assert "2/4" in written(console)
