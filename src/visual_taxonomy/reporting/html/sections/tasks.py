"""What the weighting method did to the tasks in the last epoch."""

import math
from collections.abc import Sequence

from visual_taxonomy.reporting.html.blocks import Block, Cell, Fold, Table, Text
from visual_taxonomy.reporting.html.context import Absent, Context

_COLUMNS = {"weight": "task weight", "gradient_norm": "gradient norm", "skipped": "steps skipped"}


def tasks(context: Context) -> Sequence[Block] | Absent:
    """Weight, gradient norm and skipped steps of each task, as the run recorded them."""
    if context.run is None:
        return Absent("no run folder was given")
    rows = context.run.diagnostics
    values = {name: [_number(row.get(name)) for row in rows] for name in _COLUMNS}
    # A column that says the same of every task says nothing of the tasks.
    shown = [name for name, column in values.items() if len(set(column)) > 1]
    if not shown:
        return Absent("the run recorded nothing in which the tasks differ")
    cells: list[list[Cell]] = [
        [row.get("task", ""), *(values[name][index] for name in shown)]
        for index, row in enumerate(rows)
    ]
    epoch = _number(rows[0].get("epoch"))
    when = "" if epoch is None else f" of epoch {epoch + 1:.0f}"
    note = (
        f"Means over the watched steps{when}. A task whose gradient is much longer than the "
        "others' decides where the shared parameters go."
    )
    table = Table(["task", *(_COLUMNS[name] for name in shown)], cells)
    return [Text(note, is_note=True), Fold("All tasks", f"{len(rows)} rows", [table])]


def _number(text: str | None) -> float | int | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if text and text.isdecimal() else value
