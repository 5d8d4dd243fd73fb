"""probe.json: the lines of a probe with intervals, and which rows they are of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visual_taxonomy.atomic import write_text
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.intervals import Interval, ReportIntervals, ScoreIntervals
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.training.data_record import digest_labels
from visual_taxonomy.training.probing.learning_curve import Curve, LearningCurve, Point

PROBE_NAME = "probe.json"
"""The file in a run folder."""

_MOST_BYTES = 16 * 1024 * 1024
"""A probe of a thousand attributes writes 2 MB; a larger file of this name is none of ours."""


@dataclass(frozen=True)
class Line:
    """One method of a probe.

    Args:
        overall: Its scores.
        attributes: Task name -> HM; empty where only the overall scores are known.
    """

    overall: ScoreIntervals
    attributes: Mapping[str, Interval]

    @classmethod
    def of(cls, scores: ReportIntervals) -> "Line":
        """From the intervals of a report."""
        return cls(scores.overall, {name: each.hm for name, each in scores.attributes.items()})


@dataclass(frozen=True)
class ProbeRecord:
    """What a probe has found.

    Args:
        rows: Of `digest_of_rows`.
        backbone: Whose features it saw.
        c: Inverse strength of the penalty of its linear probes.
        neighbours: Products that voted.
        lines: Name -> scores on the validation rows, from the simplest on.
        curve: The learning curve; None where none was asked for.
    """

    rows: str
    backbone: str
    c: float
    neighbours: int
    lines: Mapping[str, Line]
    curve: LearningCurve | None = None

    def write(self, path: Path) -> None:
        """Write as JSON; an interval is [value, low, high].

        Raises:
            InputError: The disk is full.
        """
        lines = {name: asdict(line) for name, line in self.lines.items()}
        content = {**vars(self), "lines": lines, "curve": _plain_curve(self.curve)}
        # JSON has no NaN: other readers would refuse the whole file.
        text = json.dumps(_without_nan(content), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(path, text + "\n")

    @classmethod
    def read(cls, path: Path) -> "ProbeRecord":
        """Read a file of `write`.

        Raises:
            InputError: It is missing, damaged or another file.
        """
        try:
            require_regular(path)
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError(f"larger than {_MOST_BYTES:,} bytes")
            found = json.loads(path.read_text(encoding="utf-8"))
            lines = {str(name): _line(each) for name, each in found["lines"].items()}
            given = str(found["rows"]), str(found["backbone"])
            numbers = float(found["c"]), int(found["neighbours"])
            return cls(*given, *numbers, lines, _curve(found["curve"]))
        except FileNotFoundError:
            raise InputError(f"{path}: not there; `vtax probe` writes it") from None
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise InputError(
                f"{path}: not written by `vtax probe`, or damaged ({error!r}); probe again"
            ) from None


def digest_of_rows(held_out: HeldOut) -> str:
    """SHA-256 of ids and labels of the held-out rows, and of the training labels of each class.

    Two runs that share it were trained on equally many labels and are scored on the same ones;
    the order of rows, attributes and classes changes nothing.
    """
    taxonomy, ids = held_out.taxonomy, held_out.ids.astype(np.str_)
    table = Table(taxonomy, ids, held_out.categories, held_out.targets, ids, Path())
    rows = sorted(zip(ids.tolist(), digest_labels(table).tolist(), strict=True))
    counts = sorted(
        (task.name, name, int(count))
        for task in taxonomy.tasks
        for name, count in zip(task.classes, held_out.class_counts[task.name], strict=True)
        # Classes that only one of the catalogues names and none has a label of are no difference.
        if count
    )
    return hashlib.sha256(json.dumps([rows, counts]).encode()).hexdigest()


def find_probe(folder: Path, held_out: HeldOut) -> ProbeRecord | None:
    """The probe of the same rows in a run folder, or in one beside it; the newest of several.

    Files that cannot be read are passed over: nobody has named them.
    """
    here = folder.resolve()
    found = sorted(here.parent.glob(f"*/{PROBE_NAME}"), key=_age)
    rows = digest_of_rows(held_out) if found else ""
    # That of the folder itself first: a probe is reported with its own lines.
    for path in sorted(found, key=lambda each: each.parent != here):
        try:
            record = ProbeRecord.read(path)
        except InputError:
            continue
        if record.rows == rows:
            return record
    return None


def read_probe(folder: Path, held_out: HeldOut) -> ProbeRecord:
    """The probe of a run folder, which must be of these rows.

    Raises:
        InputError: There is none, it is damaged, or it is of other rows.
    """
    path = folder / PROBE_NAME
    record = ProbeRecord.read(path)
    if record.rows != digest_of_rows(held_out):
        raise InputError(
            f"{path}: its validation rows, their labels or the training labels are not those of "
            "this run; probe with the split of the run (`split_path`)"
        )
    return record


def _age(path: Path) -> int:
    try:
        return -path.stat().st_mtime_ns
    except OSError:  # deleted meanwhile
        return 0


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - plain values of any depth
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _interval(values: Any) -> Interval:  # noqa: ANN401 - of JSON
    value, low, high = (np.nan if each is None else float(each) for each in values)
    return Interval(value, low, high)


def _line(found: Any) -> Line:  # noqa: ANN401 - of JSON
    of_attributes = {str(name): _interval(each) for name, each in found["attributes"].items()}
    return Line(ScoreIntervals(*map(_interval, found["overall"])), of_attributes)


def _plain_curve(curve: LearningCurve | None) -> dict[str, Any] | None:
    return None if curve is None else curve._asdict()


def _point(values: Any) -> Point:  # noqa: ANN401 - of JSON
    share, labels, *scores = values
    return Point(float(share), float(labels), *map(_interval, scores))


def _curve(found: Any) -> LearningCurve | None:  # noqa: ANN401 - of JSON
    if found is None:
        return None
    return LearningCurve(
        tuple(map(_point, found["overall"])),
        tuple(
            Curve(str(name), tuple(map(_point, points)), _interval(gain))
            for name, points, gain in found["curves"]
        ),
        np.nan if found["backtest"] is None else float(found["backtest"]),
    )
