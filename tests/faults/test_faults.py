"""The short form of `make soak`: every scenario once, in a process that forks and kills."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).with_name("soak.py")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the rounds have found."""
    out = tmp_path_factory.mktemp("soak") / "result.json"
    done = subprocess.run(
        [sys.executable, str(SOAK), "--out", str(out)], capture_output=True, text=True, timeout=900
    )
    assert out.exists(), done.stdout + done.stderr
    return json.loads(out.read_text())


@pytest.mark.slow
def test_every_scenario_was_tried(result):
    listed = subprocess.run(
        [sys.executable, str(SOAK), "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert len(result["tried"]) > 10
    assert all(name in listed for name in result["tried"])


@pytest.mark.slow
def test_nothing_is_lost_and_every_message_is_clear(result):
    assert result["failures"] == []
