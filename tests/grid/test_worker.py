import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.processes import start_command
from visual_taxonomy.grid.provenance import digest_of_data
from visual_taxonomy.grid.worker import _check_data


def test_a_run_stops_when_the_process_that_started_it_is_gone(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading, time\n"
        "from visual_taxonomy.grid.worker import _stop_with\n"
        "threading.Thread(target=_stop_with, args=(os.getppid(),), daemon=True).start()\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    file = tmp_path / "pid"
    # The shell starts it in the background, waits for its file, and is gone.
    line = f'"{sys.executable}" -c "$0" "{file}" & while [ ! -s "{file}" ]; do sleep 0.1; done'
    subprocess.run(["sh", "-c", line, code], check=True, timeout=60)
    process = int(file.read_text())
    for _ in range(600):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {process} runs on")


def test_data_that_changed_since_the_start_are_no_run_of_the_ledger(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": ["7"], "labels": [1]})
    rows.write_parquet(tmp_path / "data.parquet")
    _check_data(tmp_path, digest_of_data(rows))
    with pytest.raises(InputError, match="have changed since `vtax compare` started; start again"):
        _check_data(tmp_path, "of other rows")


def test_a_process_that_runs_on_can_be_waited_for_and_ended(tmp_path: Path) -> None:
    process = start_command(["sleep", "60"], tmp_path / "log", threads=1)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait() == -9
