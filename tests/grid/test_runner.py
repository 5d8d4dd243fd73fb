"""The runner with processes that do not train."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import polars as pl
import pytest

from visual_taxonomy.grid.ledger import FAILED, OK, Ledger
from visual_taxonomy.grid.processes import Process, start_command
from visual_taxonomy.grid.runner import Job, Runner

WRITES = """
import json, os, pathlib, sys
path, log, digest = sys.argv[1:4]
with open(log, "a") as file:
    file.write(digest + "\\n")
{before}
row = {{"digest": digest, "name": digest, "status": "ok"}}
path = pathlib.Path(path)
path.parent.mkdir(exist_ok=True)
path.with_suffix(".new").write_text(json.dumps(row))
path.with_suffix(".new").rename(path)
"""
"""A process that notes that it ran and writes its row."""


def runner(folder: Path, before: str = "", num_jobs: int = 1, threads: int = 1) -> Runner:
    ledger, code = Ledger(folder), WRITES.format(before=before)

    def start(job: Job) -> Process:
        arguments = [str(ledger.row_path(job.digest)), str(folder / "ran.txt"), job.digest]
        return start_command([sys.executable, "-S", "-c", code, *arguments], job.log, threads)

    return Runner(ledger, start, num_jobs)


def jobs(folder: Path, *digests: str, shares: str | None = None) -> list[Job]:
    rows = ({"digest": each, "name": each} for each in digests)
    return [Job(row, folder / "logs" / row["digest"], shares) for row in rows]


def ran(folder: Path) -> list[str]:
    return (folder / "ran.txt").read_text().split()


def test_every_job_leaves_a_row_and_is_not_done_again(tmp_path: Path) -> None:
    assert runner(tmp_path).run(jobs(tmp_path, "a", "b"))
    assert runner(tmp_path).run(jobs(tmp_path, "a", "b", "c"))
    assert ran(tmp_path) == ["a", "b", "c"]
    assert pl.read_parquet(tmp_path / "ledger.parquet")["digest"].to_list() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("sys.exit('no such loss')", "exit status 1; last line: no such loss"),
        (
            "os.kill(os.getpid(), 9)",
            "killed by SIGKILL (the system does that when memory runs out); it printed nothing",
        ),
        ("os._exit(0)", "exit status 0; it printed nothing"),
    ],
)
def test_a_job_that_crashes_is_a_row_with_its_reason(
    tmp_path: Path, before: str, reason: str
) -> None:
    assert runner(tmp_path, before).run(jobs(tmp_path, "a"))
    row = pl.read_parquet(tmp_path / "ledger.parquet").row(0, named=True)
    assert (row["digest"], row["status"], row["reason"]) == ("a", FAILED, reason)
    assert row["seconds"] > 0
    assert row["started"] <= row["ended"]


def test_a_crash_stops_no_other_job(tmp_path: Path) -> None:
    assert runner(tmp_path, "digest == 'a' and sys.exit(1)", 2).run(jobs(tmp_path, "a", "b"))
    rows = pl.read_parquet(tmp_path / "ledger.parquet")
    assert rows["status"].to_list() == [FAILED, OK]


def test_processes_get_their_share_of_the_threads(tmp_path: Path) -> None:
    before = "assert os.environ['OMP_NUM_THREADS'] == '3'"
    runner(tmp_path, before, threads=3).run(jobs(tmp_path, "a"))
    assert pl.read_parquet(tmp_path / "ledger.parquet")["status"].to_list() == [OK]


def test_two_runners_on_one_ledger_share_the_jobs(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_runner import jobs, runner
        folder = Path({str(tmp_path)!r})
        runner(folder, "import time; time.sleep(0.1)", 2).run(jobs(folder, *"abcdefgh"))
        """
    )
    others = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [each.wait(60) for each in others] == [0, 0]
    assert sorted(ran(tmp_path)) == list("abcdefgh")
    rows = pl.read_parquet(tmp_path / "ledger.parquet")
    assert rows["digest"].to_list() == list("abcdefgh")


def test_the_first_job_fills_a_cache_before_others_read_it(tmp_path: Path) -> None:
    before = "open(log + '.' + digest, 'w'); import time; time.sleep(0.3)"
    assert runner(tmp_path, before, 3).run(jobs(tmp_path, "a", "b", "c", shares="features"))
    begun = {each: (tmp_path / f"ran.txt.{each}").stat().st_mtime for each in "abc"}
    assert min(begun["b"], begun["c"]) - begun["a"] >= 0.3
    assert abs(begun["b"] - begun["c"]) < 0.3


KILLED = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from test_runner import jobs, runner
folder = Path({folder!r})
before = "if digest == 'b' and not os.path.exists(log + '.2'): open(log + '.2', 'w'); {hang}"
print(runner(folder, before).run(jobs(folder, "a", "b", "c")))
"""


def started(folder: Path, hang: str) -> "subprocess.Popen[bytes]":
    """A runner in another process, whose job b hangs."""
    code = KILLED.format(here=str(Path(__file__).parent), folder=str(folder), hang=hang)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    while not (folder / "ran.txt.2").exists():
        time.sleep(0.02)
    return process


def test_a_killed_runner_leaves_only_what_is_missing(tmp_path: Path) -> None:
    process = started(tmp_path, "os.kill(os.getppid(), 9); os._exit(1)")
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert Ledger(tmp_path).merge()["digest"].to_list() == ["a"]
    assert runner(tmp_path).run(jobs(tmp_path, "a", "b", "c"))
    assert ran(tmp_path) == ["a", "b", "b", "c"]
    whole = tmp_path / "whole"
    whole.mkdir()
    runner(whole).run(jobs(whole, "a", "b", "c"))
    assert Ledger(tmp_path).merge().equals(Ledger(whole).merge())


def test_ctrl_c_stops_the_processes_and_their_runs_leave_no_row(tmp_path: Path) -> None:
    process = started(
        tmp_path, "import time; open(log + '.3', 'w').write(str(os.getpid())); time.sleep(60)"
    )
    while not (tmp_path / "ran.txt.3").exists() or not (tmp_path / "ran.txt.3").read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == b"False\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "ran.txt.3").read_text()), 0)
    assert Ledger(tmp_path).merge()["digest"].to_list() == ["a"]
