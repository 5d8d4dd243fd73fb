"""What `vtax audit` found: labels that are probably wrong."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.html.blocks import Block, Text
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.run_record import read_rows
from visual_taxonomy.reporting.html.sections.images import Case, show_cases

LISTS = {
    "likely_wrong": "labels are probably wrong",
    "contradictions": "labels of near-duplicates contradict each other",
    "fillable": "unknown labels can be filled in",
}
"""Name of a CSV of `vtax audit` -> what a row of it is."""

_COLUMNS = {"id", "category", "attribute", "label", "suggested", "probability"}


def likely_wrong(context: Context) -> Sequence[Block] | Absent:
    """The first images of the list of labels that are probably wrong, and the length of each."""
    if context.audit is None:
        return Absent("no lists of vtax audit; run it on the run folder")
    lists = {name: _read(context.audit / f"{name}.csv") for name in LISTS}
    counts = "; ".join(f"{len(rows):,} {LISTS[name]}" for name, rows in lists.items())
    note = f"{counts}. The lists to review: {context.audit}"
    if not lists["likely_wrong"]:
        return [Text(note)]
    shown = show_cases(context, _cases(context, lists["likely_wrong"]), note)
    return [Text(note)] if isinstance(shown, Absent) else shown


def _read(path: Path) -> list[dict[str, str]]:
    rows = read_rows(path)
    missing = _COLUMNS - rows[0].keys() if rows else set()
    if missing:
        raise InputError(
            f"{path}: not a list of vtax audit: no column {', '.join(sorted(missing))}"
        )
    return rows


def _cases(context: Context, rows: Sequence[Mapping[str, str]]) -> Iterator[Case]:
    """The findings whose product is among the held-out rows, in the order of the list."""
    place = {name: row for row, name in enumerate(context.held_out.ids.tolist())}
    for row in rows:
        if row["id"] not in place:
            continue
        lines = [("label", row["label"]), ("suggested", row["suggested"])]
        probability = _probability(row["probability"])
        lines += [("probability", f"{probability:.1%}")] if math.isfinite(probability) else []
        lines += [("id", row["id"])]
        yield Case(place[row["id"]], f"{row['category']} · {row['attribute']}", lines)


def _probability(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
