"""A catalogue file that is to be filled: its empty cells, and the copy in which some are filled.

Shapes: N products, M products with a hole, A slots; R rows of the file, N unless ids are repeated.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from visual_taxonomy.data.cell_files.base import CellFile, Fill
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import checksum
from visual_taxonomy.inference.holes import Holes
from visual_taxonomy.inference.prediction_file import request_of
from visual_taxonomy.taxonomy import UNKNOWN

FILLED = "filled"
"""Status of a cell that the copy has filled; the others are `unknown` and `no image`."""


@dataclass
class Filling:
    """A catalogue file that is to be filled.

    Args:
        file: Its cells.
        id_column: The column of the ids.
        table: [N] all its products.
        holes: Its empty cells.
    """

    file: CellFile
    id_column: str
    table: Table
    holes: Holes
    counts: dict[str, int] = field(default_factory=dict, init=False)
    """Attribute -> filled cells, once the copy is written."""

    def __post_init__(self) -> None:
        self._source = checksum(self.file.path)
        # Now: which of them are answered is known when nobody watches any more.
        self.file.check_writable(self._classes())

    @cached_property
    def with_holes(self) -> np.ndarray:
        """[M] numbers of the products with a hole."""
        return np.flatnonzero(self.holes.is_hole.any(axis=1))

    @cached_property
    def rows(self) -> Table:
        """[M] products with a hole: those to predict."""
        return self.table.take(self.with_holes)

    def holes_of(self, rows: np.ndarray) -> Iterator[list[int]]:
        """The slots with a hole of some of the M rows."""
        is_hole = self.holes.is_hole[self.with_holes[rows]]
        return (np.flatnonzero(of_row).tolist() for of_row in is_hole)

    def attribute_counts(self, is_counted: np.ndarray) -> dict[str, int]:
        """Attribute -> cells of a mask [N, A], in the order of the taxonomy."""
        taxonomy = self.table.taxonomy
        counts: dict[str, int] = {}
        for category, slots in enumerate(taxonomy.slots):
            of_slots = is_counted[self.table.categories == category].sum(axis=0).tolist()
            for slot, task in enumerate(slots):
                name = taxonomy.tasks[task].attribute
                counts[name] = counts.get(name, 0) + of_slots[slot]
        return counts

    def request(self, model: Path, *settings: str) -> str:
        """What tells this filling from others; see `request_of`."""
        digest = hashlib.sha256(self.holes.is_empty.tobytes())
        # As they are read: known labels answer, too, and flags may merge or ignore some.
        digest.update(self.rows.targets.tobytes())
        return request_of(model, self.rows, self._source, digest.hexdigest(), *settings)

    def _classes(self) -> dict[str, set[str]]:
        """Column -> what may be written into it."""
        taxonomy = self.table.taxonomy
        classes: dict[str, set[str]] = {}
        for slots, columns in zip(taxonomy.slots, self.holes.columns, strict=True):
            for task, name in zip(slots, columns, strict=True):
                if name is not None:
                    classes.setdefault(name, set()).update(taxonomy.tasks[task].classes)
        return classes

    def write(self, out: Path, cells: Path) -> None:
        """Write the copy, with the answers of the finished list of cells.

        Raises:
            InputError: The file has changed since its holes were found.
        """
        if checksum(self.file.path) != self._source:
            raise InputError(f"{self.file.path}: has changed while it was filled; fill it again")
        with cells.open(encoding="utf-8", newline="") as lines:
            self.file.write(out, self.id_column, self._fills(csv.DictReader(lines)))

    def _fills(self, records: Iterator[dict[str, str]]) -> Iterator[Fill]:
        """The texts for each of the R rows of the file."""
        classes, taxonomy = self._filled_classes(records), self.table.taxonomy
        self.counts = self.attribute_counts(classes != UNKNOWN)
        for row, is_empty in zip(self.holes.rows.tolist(), self.holes.is_empty, strict=True):
            category = int(self.table.categories[row])
            fill: dict[str, str] = {}
            for slot in np.flatnonzero(is_empty & (classes[row] != UNKNOWN)).tolist():
                name = self.holes.columns[category][slot]
                if name is not None:
                    task = taxonomy.tasks[taxonomy.slots[category][slot]]
                    fill[name] = task.classes[classes[row, slot]]
            yield fill

    def _filled_classes(self, records: Iterator[dict[str, str]]) -> np.ndarray:
        """[N, A] int32 class of each hole that is filled; -1 elsewhere."""
        taxonomy, categories = self.table.taxonomy, self.table.categories.tolist()
        places = [{label: i for i, label in enumerate(task.classes)} for task in taxonomy.tasks]
        found = np.full(self.holes.is_hole.shape, UNKNOWN, np.int32)
        cells = np.argwhere(self.holes.is_hole).tolist()
        for (row, slot), record in zip(cells, records, strict=True):
            if record["status"] == FILLED:
                found[row, slot] = places[taxonomy.slots[categories[row]][slot]][record["answer"]]
        return found
