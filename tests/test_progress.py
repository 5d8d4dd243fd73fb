import logging

import pytest

from visual_taxonomy.progress import SILENT, SilentReporter


def test_a_silent_reporter_prints_nothing_and_logs_its_notes(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "visual_taxonomy"):
        SILENT.note("12 rows to train on")
    with SilentReporter().progress("drawing", total=2) as advance:
        advance(1)
        advance(2, 3, text="on")
    assert caplog.messages == ["12 rows to train on"]
    assert capsys.readouterr() == ("", "")
