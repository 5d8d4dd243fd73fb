"""From planned runs to jobs: rows are read once, images compared once, splits drawn once."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.config_values import to_dict
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.split import read_groups, write_split
from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.ledger import Ledger
from visual_taxonomy.grid.plan import PlannedRun, identify
from visual_taxonomy.grid.processes import Process, start_worker
from visual_taxonomy.grid.provenance import code, digest_of_data
from visual_taxonomy.grid.runner import Job
from visual_taxonomy.grid.search import write_search_splits
from visual_taxonomy.progress import SILENT, Reporter
from visual_taxonomy.training.data_record import record
from visual_taxonomy.training.preparation import choose_split
from visual_taxonomy.training.row_files import Rows
from visual_taxonomy.training.train import read_rows

_OF_ROWS = (
    *("img_dir", "csv_path", "attributes_config", "parq_path", "val_csv_path", "test_csv_path"),
    *(entry.name for entry in fields(LabelReading)),
)
_OF_SPLIT = ("val_ratio", "split_seed", "folds", "fold", "group_duplicates")
_RARELY = 1_000_000
"""Steps between two looks at the gradients of the tasks, which take longer than a step."""
_TAKES_SPLIT_ITSELF = ("split_path", "val_csv_path", "test_csv_path", "test_ratio")
"""Settings with which a run gets its rows in its own way, with the same result each time."""


@dataclass
class Preparation:
    """Makes the jobs of a ledger.

    Args:
        ledger: Where the runs go.
        grid: Name of the grid, for the rows.
        threads: Of each process.
        keep_checkpoints: Whether runs keep their weights once they are scored.
        reporter: Shows how images are compared.
    """

    ledger: Ledger
    grid: str
    threads: int = 1
    keep_checkpoints: bool = False
    reporter: Reporter = SILENT
    _rows: dict[str, tuple[Rows, pl.DataFrame, str]] = field(default_factory=dict)

    def job(self, run: PlannedRun, **more: Any) -> Job:  # noqa: ANN401 - columns of the ledger
        """The job of a run; nothing is written yet.

        Raises:
            InputError: The labelled rows cannot be read.
        """
        data = self._read(run.config.data)[2]
        digest = identify(run, data)
        row = {
            "digest": digest,
            "grid": self.grid,
            "name": run.name,
            "variant": run.variant,
            "seed": run.seed,
            "fold": run.fold,
            "settings": json.dumps(run.settings, sort_keys=True),
            "config": json.dumps(to_dict(run.config), sort_keys=True),
            "data_digest": data,
            **code(),
            "threads": self.threads,
            **more,
        }
        return Job(row, self._folder(digest) / "log.txt", _cache_of(run.config))

    def write(self, runs: Sequence[PlannedRun], jobs: Sequence[Job]) -> None:
        """Write the job file and the split of each run that is still to be done.

        Raises:
            InputError: A split cannot be drawn, or the disk is full.
        """
        for run, job in zip(runs, jobs, strict=True):
            if self.ledger.has(job.digest):
                continue
            config = replace(
                run.config,
                data=self._with_split(run.config.data),
                run=replace(
                    run.config.run,
                    save_dir=(self.ledger.folder / "runs").resolve(),
                    run_name=job.digest,
                    log_every=_RARELY,
                ),
            )
            content = {
                "row": dict(job.row),
                "row_path": str(self.ledger.row_path(job.digest).resolve()),
                "folder": str(self.ledger.folder.resolve()),
                "config": to_dict(config),
                "keep_checkpoints": self.keep_checkpoints,
            }
            write_text(self._job_path(job.digest), json.dumps(content, indent=1))

    def start(self, job: Job) -> Process:
        """Start the process of a job."""
        return start_worker(self._job_path(job.digest), job.log, self.threads)

    def search_splits(self, run: PlannedRun, folds: int) -> tuple[Path, Path]:
        """The split files of a search (see `search.py`), on the rows of a run.

        Raises:
            InputError: The run brings a split of its own, or there are too few folds.
        """
        data = run.config.data
        given = [name for name in _TAKES_SPLIT_ITSELF if getattr(data, name)]
        if given:
            raise InputError(f"`{given[0]}`: a search cuts the rows itself; leave it out")
        table = self._read(data)[0].table
        path = self._with_split(data).split_path
        groups = None if path is None else read_groups(path, table.ids)
        return write_search_splits(
            self.ledger.folder / "splits",
            table.ids,
            table.categories,
            np.arange(len(table)) if groups is None else groups,
            folds,
            data.random_state if data.split_seed is None else data.split_seed,
        )

    def _job_path(self, digest: str) -> Path:
        return self.ledger.folder / "jobs" / f"{digest}.json"

    def _folder(self, digest: str) -> Path:
        return self.ledger.folder / "runs" / digest

    def _read(self, data: DataConfig) -> tuple[Rows, pl.DataFrame, str]:
        """Rows, their record, and its digest."""
        key = rows_key(data)
        if key not in self._rows:
            rows = read_rows(data, self.reporter)
            seen = record(rows.table)
            self._rows[key] = rows, seen, digest_of_data(seen)
        return self._rows[key]

    def _with_split(self, data: DataConfig) -> DataConfig:
        """The settings with a split file in place of how to draw one.

        Otherwise each run would compare all images for near-duplicates, which takes longer than a
        run from cached features.
        """
        if any(getattr(data, name) for name in _TAKES_SPLIT_ITSELF):
            return data
        rows, _, digest = self._read(data)
        folder = self.ledger.folder / "splits"
        wanted = json.dumps([digest, [getattr(data, name) for name in _OF_SPLIT]])
        path = folder / f"{hashlib.sha256(wanted.encode()).hexdigest()[:16]}.csv"
        if not path.exists():
            # All splits of the same rows have the same groups: any of them will do.
            groups = folder / f"groups-{digest}.csv"
            known = groups if data.group_duplicates and groups.exists() else None
            with self.reporter.progress("comparing images") as advance:
                split = choose_split(rows, data, None, advance, groups_path=known)
            write_split(path, rows.table.ids, *split)
            if data.group_duplicates and known is None:
                write_split(groups, rows.table.ids, *split)
        return replace(data, split_path=path.resolve(), folds=None, fold=None)


def rows_key(data: DataConfig) -> str:
    """The settings that say which rows there are and how they are read: alike for the same rows.

    Example:
        >>> one = DataConfig(Path("images"), Path("train.csv"))
        >>> rows_key(one) == rows_key(replace(one, val_ratio=0.3))
        True
        >>> rows_key(one) == rows_key(replace(one, text_columns=("title",)))
        False
    """
    plain = to_dict(data)
    return json.dumps([plain.get(name) for name in _OF_ROWS])


def refuse_same(runs: Sequence[PlannedRun], jobs: Sequence[Job]) -> None:
    """Refuse a plan in which two variants are the same run.

    Raises:
        InputError: Two of them are; they are named.
    """
    names: dict[str, str] = {}
    for run, job in zip(runs, jobs, strict=True):
        other = names.setdefault(job.digest, run.name)
        if other != run.name:
            raise InputError(
                f"'{other}' and '{run.name}' are the same run: their settings do not differ; leave "
                "one of them out"
            )


def _cache_of(config: TrainConfig) -> str | None:
    """Name of the cache that a run reads and may have to fill first; None without one."""
    data = config.data
    if data.feature_cache is None and data.image_cache in (None, Path("ram")):
        return None
    parts = [data.feature_cache, data.image_cache, to_dict(config.model), data.fold]
    return json.dumps(parts, default=str, sort_keys=True)
