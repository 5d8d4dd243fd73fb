"""The process of one run: `python -m visual_taxonomy.grid.worker JOB.json`.

It trains as `vtax train` does, without plots and report, which the runs of a grid can have later
(`vtax report`), scores the held-out rows and writes the row of the ledger.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

_LOOK_SECONDS = 1.0


def main(path: Path) -> int:
    """Do the run of a job file, and write its row.

    Args:
        path: JSON: `row` (what is known beforehand), `row_path`, `folder` of the ledger, `config`
            and `keep_checkpoints`.

    Returns:
        The exit status.
    """
    job = json.loads(path.read_text(encoding="utf-8"))
    threading.Thread(target=_stop_with, args=(os.getppid(),), daemon=True).start()
    row_path = Path(job["row_path"])
    # Whoever started an earlier process of this run was killed; that one stops by itself soon.
    with FileLock(path.with_suffix(".lock")):
        if not row_path.exists():
            _run(job, row_path)
    return 0


def run_in_process(path: Path, log: Path) -> None:
    """`main` in a process that was forked for it.

    Args:
        path: The job file.
        log: Takes what the run prints.
    """
    # Ctrl-C in the terminal reaches the runner alone, which then stops the others.
    os.setsid()
    with log.open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    sys.exit(main(path))


def _run(job: Mapping[str, Any], row_path: Path) -> None:
    started, seconds = datetime.now(UTC), time.perf_counter()
    from visual_taxonomy.config import TrainConfig
    from visual_taxonomy.config_values import from_dict
    from visual_taxonomy.grid.ledger import OK, write_row
    from visual_taxonomy.grid.provenance import processor_seconds
    from visual_taxonomy.grid.run_scores import score_run
    from visual_taxonomy.processor import read_processor
    from visual_taxonomy.training.train import train

    config = from_dict(TrainConfig, job["config"], "job")
    folder = config.run.folder
    is_resumed = (folder / "config.toml").exists()
    # Fitting decisions to weights that nobody keeps takes as long as a short training.
    settles = job["keep_checkpoints"]
    train(replace(config, run=replace(config.run, resume=is_resumed)), settles=settles)
    _check_data(folder, job["row"]["data_digest"])
    row = {
        **job["row"],
        **score_run(folder),
        "held_out": os.path.relpath(folder / "held_out_last.npz", job["folder"]),
        "is_resumed": is_resumed,
        "processor": read_processor().model,
        "started": started.isoformat(" ", "seconds"),
        "ended": datetime.now(UTC).isoformat(" ", "seconds"),
        "seconds": round(time.perf_counter() - seconds, 2),
        "cpu_seconds": round(processor_seconds(), 2),
        "status": OK,
    }
    write_row(row_path, row)
    # After the row: until then, they are what a killed run is resumed from.
    if not job["keep_checkpoints"]:
        for checkpoint in folder.glob("*.pt"):
            checkpoint.unlink()


def _check_data(folder: Path, expected: str) -> None:
    import polars as pl

    from visual_taxonomy.errors import InputError
    from visual_taxonomy.grid.provenance import digest_of_data
    from visual_taxonomy.training.data_record import DATA_NAME

    if digest_of_data(pl.read_parquet(folder / DATA_NAME)) != expected:
        raise InputError("labels or images have changed since `vtax compare` started; start again")


def _stop_with(parent: int) -> None:
    """Stop when the process that started this one is gone, as Ctrl-C would: resumable."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
