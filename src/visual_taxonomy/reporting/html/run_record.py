"""What a run folder says of its run."""

import csv
import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config_values import toml_values
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.version import __version__

ENVIRONMENT_NAME = "environment.json"
"""In the run folder: what the run was trained with."""

_PACKAGES = ("torch", "timm", "numpy")
_MOST_BYTES = 64 * 1024 * 1024
"""Of a table of a run; a file of the usual name that is larger is none of ours."""


@dataclass(frozen=True)
class RunRecord:
    """The files of a run folder that the report shows; what is not there is empty.

    Args:
        name: Of the run.
        config: Section -> flag -> value, as config.toml has them.
        metrics: A row an epoch; values that are not there are NaN.
        diagnostics: Rows of task_diagnostics.csv of the last epoch, as text.
        environment: Name -> value: versions and hardware of the training.
        data: Digest of ids and labels, and the number of rows.
        loudest: Rows of words.csv: what of the words speaks for each class.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, float]] = ()
    diagnostics: Sequence[Mapping[str, str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, int] | None = None
    loudest: Sequence[Mapping[str, str]] = ()

    @property
    def picture_folder(self) -> Path | None:
        """Where the images were; they may have moved since."""
        folder = self.config.get("data", {}).get("img_dir")
        return Path(folder) if isinstance(folder, str) else None


def read_run(folder: Path) -> RunRecord:
    """The record of a run folder.

    Raises:
        InputError: There is no such folder, or a file in it is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; `vtax train` writes one")
    config = folder / "config.toml"
    metrics = [
        {name: _number(text) for name, text in row.items()}
        for row in read_rows(folder / "metrics.csv")
    ]
    diagnostics = read_rows(folder / "task_diagnostics.csv")
    last = diagnostics[-1].get("epoch") if diagnostics else None
    return RunRecord(
        folder.resolve().name,
        toml_values(config) if config.exists() else {},
        metrics,
        [row for row in diagnostics if row.get("epoch") == last],
        _read_environment(folder / ENVIRONMENT_NAME),
        _digest(folder / "data.parquet"),
        read_rows(folder / "words.csv"),
    )


def environment() -> dict[str, str]:
    """The versions and the hardware of this process, and the time, as names and values."""
    # Only the process that trains asks: reading a record must not wait for torch.
    from visual_taxonomy.processor import read_processor  # imports torch

    facts = {"vtax": __version__, "Python": platform.python_version()}
    facts |= {name: found for name in _PACKAGES if (found := _version(name))}
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["processor"] = read_processor().model
    gpu = _gpu()
    if gpu:
        facts["GPU"] = gpu
    facts["finished"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return facts


def record_environment(folder: Path) -> None:
    """Write `environment` into a run folder, once: a report of later is made elsewhere.

    Raises:
        InputError: The disk is full.
    """
    write_text(folder / ENVIRONMENT_NAME, json.dumps(environment(), indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _read_text(path: Path) -> str | None:
    """The text of a small file; None if there is none."""
    try:
        require_regular(path)
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: larger than {_MOST_BYTES:,} bytes; not written by a run")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); move it away") from None


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a small CSV; none if there is no such file.

    Raises:
        InputError: It is damaged, or larger than a run would write.
    """
    text = _read_text(path)
    try:
        return [] if text is None else list(csv.DictReader(text.splitlines(), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV of a run, or damaged ({error})") from None


def _read_environment(path: Path) -> dict[str, str]:
    text = _read_text(path)
    try:
        content = {} if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not the JSON of a run, or damaged ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object of names and values")
    return {str(name): str(value) for name, value in content.items()}


def _digest(path: Path) -> tuple[str, int] | None:
    """What ids and labels add up to: equal for equal rows, whatever their order."""
    if not path.exists():
        return None
    try:
        require_regular(path)
        rows = pl.read_parquet(path, columns=["id", "labels"]).sort("id")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: not the record of a run's data, or damaged ({error})") from None
    text = "\n".join(f"{name}\t{labels}" for name, labels in rows.iter_rows())
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], len(rows)
