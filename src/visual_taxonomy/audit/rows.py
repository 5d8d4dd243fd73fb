"""The held-out rows with the labels that the catalogue has now."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import UNKNOWN


class AuditedRows(NamedTuple):
    """What of a catalogue can be audited."""

    held_out: HeldOut
    """Of rows that are in the catalogue, with its labels."""
    labelled_rows: int
    """Rows of the catalogue with a label."""
    covered_rows: int
    """Of these, those that are held out."""
    gone: int
    """Held-out rows that the catalogue does not have any more."""
    changed: int
    """Labels that are others than when the rows were held out."""

    def notes(self) -> list[str]:
        """What a person should know before reading the lists."""
        share = self.covered_rows / max(self.labelled_rows, 1)
        covered = f"{self.covered_rows:,} of {self.labelled_rows:,} labelled rows ({share:.0%})"
        lines = [f"audited: {covered}"]
        if self.covered_rows < self.labelled_rows:
            lines.append(
                "the others were trained on; `vtax cross-validate` holds out every row once"
            )
        if self.changed:
            lines.append(f"{self.changed:,} labels have changed since; audited as they are now")
        if self.gone:
            lines.append(f"{self.gone:,} held-out rows are not in the catalogue any more; left out")
        return lines


def with_labels_of(table: Table, held_out: HeldOut, path: Path) -> AuditedRows:
    """The held-out rows that a catalogue has, with the labels that it has now.

    Args:
        table: The catalogue, read with the taxonomy of the held-out rows.
        held_out: Predictions and the labels of that time.
        path: Of the held-out rows, for messages.

    Raises:
        InputError: The catalogue has none of the rows, or one in another category.
    """
    row_of = {product: row for row, product in enumerate(table.ids.tolist())}
    rows = np.array([row_of.get(product, -1) for product in held_out.ids.tolist()], dtype=np.int64)
    is_there = rows >= 0
    if not is_there.any():
        raise InputError(
            f"{path}: none of its {len(held_out):,} rows is in the catalogue (the first is "
            f"'{shown(held_out.ids[0]) if len(held_out) else ''}'); name the CSV of the run with "
            "`csv_path`"
        )
    kept, rows = held_out.take(is_there), rows[is_there]
    # The slots of another category are other attributes: no probability would fit the labels.
    moved = np.flatnonzero(table.categories[rows] != kept.categories)
    if len(moved):
        names = held_out.taxonomy.categories
        then, now = kept.categories[moved[0]], table.categories[rows[moved[0]]]
        raise InputError(
            f"{path}: row '{shown(kept.ids[moved[0]])}' was one of '{shown(names[then])}', and is "
            f"one of '{shown(names[now])}' now ({len(moved):,} rows have moved); train again"
        )
    # As the catalogue has them now: what was corrected since is not found again.
    targets = table.targets[rows]
    is_labelled = (table.targets != UNKNOWN).any(axis=1)
    return AuditedRows(
        replace(kept, targets=targets),
        int(is_labelled.sum()),
        int(is_labelled[rows].sum()),
        int((~is_there).sum()),
        int((targets != kept.targets).sum()),
    )
