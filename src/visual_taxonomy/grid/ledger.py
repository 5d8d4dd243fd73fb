"""The ledger: a Parquet file with a row for each run, whatever became of it.

A run that has ended leaves a file of its own, `rows/DIGEST.json`, written under another name and
renamed. Whoever comes by merges these files into `ledger.parquet`, under a lock and by renaming
too. So a killed process loses no row that was written, and two processes add to one ledger.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from visual_taxonomy.atomic import write_atomically, write_text
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular

LEDGER_NAME = "ledger.parquet"

OK, FAILED = "ok", "failed"
"""Values of `status`."""

SCHEMA: dict[str, type[pl.DataType]] = {
    "digest": pl.String,  # of settings and data: the name of the run
    "grid": pl.String,
    "name": pl.String,
    "variant": pl.String,
    "seed": pl.Int64,
    "fold": pl.Int64,
    "settings": pl.String,  # JSON: flag -> value, where it differs from the base
    "config": pl.String,  # JSON: all settings
    "data_digest": pl.String,
    "code_version": pl.String,
    "code_commit": pl.String,
    "code_digest": pl.String,
    "started": pl.String,
    "ended": pl.String,
    "seconds": pl.Float64,
    "cpu_seconds": pl.Float64,
    "is_resumed": pl.Boolean,  # its seconds are those of the last part only
    "processor": pl.String,
    "threads": pl.Int64,
    "rows": pl.Int64,
    "hm": pl.Float64,  # of the most probable classes, after the last epoch
    "micro": pl.Float64,
    "macro": pl.Float64,
    "hm_decision": pl.Float64,  # of the decision, cross-fitted
    "micro_decision": pl.Float64,
    "macro_decision": pl.Float64,
    "hm_best_epoch": pl.Float64,  # of the epoch that these rows chose: it flatters
    "held_out": pl.String,  # path from the folder of the ledger
    "status": pl.String,
    "reason": pl.String,  # of a failure
}
"""Column -> type. A row need not have all of them."""


class Ledger:
    """The ledger of a folder.

    Args:
        folder: Made with the first row.

    Example:
        >>> import tempfile
        >>> ledger = Ledger(Path(tempfile.mkdtemp()))
        >>> ledger.add({"digest": "ab12", "name": "CE, seed 0", "status": OK})
        >>> ledger.merge().select("digest", "status").rows(), ledger.has("ab12")
        ([('ab12', 'ok')], True)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER_NAME
        self._rows = folder / "rows"
        self._locks = folder / "locks"
        self._known = frozenset(self._read()["digest"].to_list())

    def add(self, row: Mapping[str, Any]) -> None:
        """Write the row of a run, for the next merge; a row of the same digest is replaced."""
        write_row(self.row_path(row["digest"]), row)

    def row_path(self, digest: str) -> Path:
        """Where the process of a run writes its row."""
        return self._rows / f"{digest}.json"

    def has(self, digest: str) -> bool:
        """Whether a run has its row, merged or not."""
        return self.row_path(digest).exists() or digest in self._known

    def forget(self, digest: str) -> None:
        """Let a run be done again."""
        with self._lock():
            self.row_path(digest).unlink(missing_ok=True)
            kept = self._merged()
            if self.path.exists():
                self._write(kept.filter(pl.col("digest") != digest))
        self._known -= {digest}

    def merge(self) -> pl.DataFrame:
        """All rows, in an order that does not depend on who ended first; written as Parquet.

        Raises:
            InputError: The file of the ledger or of a row is damaged, or the disk is full.
        """
        with self._lock():
            rows = self._merged()
            self._write(rows)
        self._known = frozenset(rows["digest"].to_list())
        return rows

    def _merged(self) -> pl.DataFrame:
        # Not those of writers that are at it, whose names begin with a dot.
        found = [_read_row(path) for path in sorted(self._rows.glob("[!.]*.json"))]
        rows = pl.DataFrame(found, schema=SCHEMA)
        # What only the table has was there before somebody tidied the folder up: it stays.
        kept = self._read().join(rows, on="digest", how="anti")
        return pl.concat([kept, rows]).sort("grid", "name", "digest")

    def _read(self) -> pl.DataFrame:
        if not self.path.exists():
            return pl.DataFrame(schema=SCHEMA)
        try:
            require_regular(self.path)
            return pl.read_parquet(self.path).select(
                pl.col(name).cast(kind) for name, kind in SCHEMA.items()
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{self.path}: not a ledger of `vtax compare`, or damaged ({error}); move it away: "
                f"the rows in {self._rows} make it anew"
            ) from None

    def _write(self, rows: pl.DataFrame) -> None:
        with write_atomically(self.path) as temporary:
            rows.write_parquet(temporary)

    def _lock(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".ledger.lock")

    @contextmanager
    def claim(self, digest: str) -> Iterator[bool]:
        """Hold a run while the block runs; gives False where another process holds it.

        The lock is the system's: it ends with the process, however that ends.
        """
        self._locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._locks / digest)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def write_row(path: Path, row: Mapping[str, Any]) -> None:
    """Write the row of a run.

    Raises:
        InputError: The disk is full.
    """
    assert row.keys() <= SCHEMA.keys(), row.keys() - SCHEMA.keys()
    write_text(path, json.dumps(dict(row), indent=1, ensure_ascii=False) + "\n")


def _read_row(path: Path) -> dict[str, Any]:
    try:
        require_regular(path)
        row = json.loads(path.read_text(encoding="utf-8"))
        if row["digest"] == path.stem and row.keys() <= SCHEMA.keys():
            return {name: row.get(name) for name in SCHEMA}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{path}: not the row of a run, or damaged; delete it to run it again")
