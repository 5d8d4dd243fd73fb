"""Fill the empty cells of a catalogue file, and say of each what was answered.

What grows and resumes is the list of cells; the filled copy is made of it once all rows are done,
in one pass over the file.

Shapes: N rows, M rows with a hole, A slots.
"""

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from typing_extensions import override

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.cell_files.base import CellFile, Fill
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answers import ANSWERED, Answer, RowScores, named_answers
from visual_taxonomy.inference.bundle import checksum
from visual_taxonomy.inference.holes import Holes
from visual_taxonomy.inference.output_forms import OutputForm, csv_lines, texts_of
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.prediction_file import (
    Written,
    finished,
    request_of,
    write_predictions,
)
from visual_taxonomy.inference.receipt import read_receipt, write_receipt

CELL_COLUMNS = (
    *("id", "attribute", "answer", "probability", "runner_up", "runner_up_probability"),
    *("witnesses", "status"),
)

FILLED = "filled"
"""Status of a cell that the copy has filled; the others are `unknown` and `no image`."""

IMAGE = "image"
"""The witness that spoke."""


@dataclass
class Filling:
    """A catalogue file that is to be filled.

    Args:
        file: Its cells.
        id_column: The column of the ids.
        table: [N] all its rows.
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
        """[M] numbers of the rows with a hole."""
        return np.flatnonzero(self.holes.is_hole.any(axis=1))

    @cached_property
    def rows(self) -> Table:
        """[M] rows with a hole: those to predict."""
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
        holes = hashlib.sha256(self.holes.is_hole.tobytes()).hexdigest()
        return request_of(model, self.rows, self._source, holes, *settings)

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
        """The texts for each of the N rows."""
        self.counts = {}
        for row, category in enumerate(self.table.categories.tolist()):
            slots = np.flatnonzero(self.holes.is_hole[row]).tolist()
            fill: dict[str, str] = {}
            for slot, record in zip(slots, islice(records, len(slots)), strict=True):
                name = self.holes.columns[category][slot]
                if record["status"] == FILLED and name is not None:
                    fill[name] = record["answer"]
                    attribute = record["attribute"]
                    self.counts[attribute] = self.counts.get(attribute, 0) + 1
            yield fill


@dataclass(frozen=True)
class CellList(OutputForm):
    """A record for each hole: what was answered, how sure, and what became of the cell.

    Args:
        filling: What is filled.
        out: The copy, written when all rows are done, before the list gets its name.
        request: Of `Filling.request`.
    """

    filling: Filling
    out: Path
    request: str

    @override
    def start(self) -> bytes:
        return csv_lines([CELL_COLUMNS])

    @override
    def rows(self, table: Table, scores: RowScores) -> bytes:
        return csv_lines(map(texts_of, self._records(table, scores)))

    @override
    def finish(self, partial: Path) -> Path:
        with write_atomically(self.out) as temporary:
            self.filling.write(temporary, partial)
            write_receipt(self.out, temporary, self.request, images="", problems=0)
        return partial

    def _records(self, table: Table, scores: RowScores) -> Iterator[Sequence[object]]:
        answers = named_answers(table.taxonomy, table.categories[scores.rows], scores)
        holes = self.filling.holes_of(scores.rows)
        ids = table.ids[scores.rows].tolist()
        for product, of_row, slots in zip(ids, answers, holes, strict=True):
            named = list(of_row.items())
            for slot in slots:
                yield _record(product, *named[slot])


def fill_file(
    predictor: Predictor,
    filling: Filling,
    out: Path,
    request: str,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write the filled copy, and beside it the list of its cells.

    A killed run resumes when it is started again with the same `request`. Both files get their
    names when all rows are done.

    Args:
        predictor: The model, at the target precision.
        filling: What is filled.
        out: The copy.
        request: Of `Filling.request`.
        on_progress: Called with the number of rows done.

    Raises:
        InputError: The disk is full, another process writes the same file, or the catalogue file
            has changed meanwhile.
    """
    form = CellList(filling, out, request)
    answers = HoleAnswers(predictor)
    return write_predictions(
        answers, filling.rows, cells_path(out), form, on_progress, request=request
    )


@dataclass(frozen=True)
class HoleAnswers:
    """What answers the holes.

    Args:
        predictor: The model.
    """

    predictor: Predictor

    def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
        """As `Predictor.predict_table`."""
        return self.predictor.predict_table(table, first)


def filled_before(out: Path, rows: Table, request: str) -> int | None:
    """Number of unreadable images if copy and list are the finished answer; None if not.

    Args:
        out: The copy.
        rows: Of `Filling.rows`.
        request: Of `Filling.request`.
    """
    return None if read_receipt(out, request) is None else finished(cells_path(out), rows, request)


def cells_path(out: Path) -> Path:
    """Where the list of the cells of a copy stands."""
    return out.with_name(f"{out.name}.cells.csv")


def would_fill(
    predictor: Predictor,
    filling: Filling,
    targets: Sequence[float],
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[dict[float, np.ndarray], int]:
    """Which holes would be filled at each target precision, [N, A] bool, and the images missing.

    Args:
        predictor: The model, answering by `metric`, at any target precision.
        filling: What would be filled.
        targets: Each between 0 and 1.
        on_progress: Called with the number of rows done.
    """
    decision, rows, numbers = predictor.decision, filling.rows, filling.with_holes
    assert decision is not None  # or the target precision was refused
    by_slot = [
        _of_slots(rows.taxonomy.slots, decision.thresholds(predictor.rule, t).least)
        for t in targets
    ]
    found = {target: np.zeros_like(filling.holes.is_hole) for target in targets}
    unreadable = 0
    for scores in HoleAnswers(predictor).predict_table(rows):
        # -1 is no class; what is read in its place counts for nothing.
        chosen = np.maximum(scores.classes, 0)[..., None]
        sure = np.take_along_axis(scores.probabilities, chosen, axis=2)[..., 0]
        places = numbers[scores.rows]
        is_open = filling.holes.is_hole[places] & (scores.classes >= 0)
        for target, least in zip(targets, by_slot, strict=True):
            found[target][places] = is_open & (sure >= least[rows.categories[scores.rows]])
        unreadable += len(scores.problems)
        on_progress(int(scores.rows[-1]) + 1)
    return found, unreadable


def _record(product: str, attribute: str, answer: Answer) -> Sequence[object]:
    *said, status = answer
    is_filled = status == ANSWERED
    witnesses = "" if answer.label is None else IMAGE
    return product, attribute, *said, witnesses, FILLED if is_filled else status


def _of_slots(slots: Sequence[Sequence[int]], values: np.ndarray) -> np.ndarray:
    """[K, A] of values per task; above any probability where there is no slot."""
    table = np.full((len(slots), max(map(len, slots))), np.inf)
    for category, tasks in enumerate(slots):
        table[category, : len(tasks)] = values[list(tasks)]
    return table
