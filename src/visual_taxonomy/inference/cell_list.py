"""The list of the cells of a filling: it grows and resumes, and the filled copy is made of it.

Shapes: N rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import override

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.table import Table
from visual_taxonomy.inference.answers import (
    ANSWERED,
    FROM_WORDS,
    Answer,
    RowScores,
    named_answers,
)
from visual_taxonomy.inference.filling import FILLED, Filling
from visual_taxonomy.inference.output_forms import OutputForm, csv_lines, texts_of
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.prediction_file import Written, finished, write_predictions
from visual_taxonomy.inference.receipt import read_receipt, write_receipt
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.witnesses.combination import IMAGE, NAMES, bits_of

CELL_COLUMNS = (
    *("id", "attribute", "answer", "probability", "runner_up", "runner_up_probability"),
    *("witnesses", "status"),
)


_SURE = (ANSWERED, FROM_WORDS)
"""Status of the answers that fill a cell."""


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
        rows = zip(ids, answers, holes, bits_of_cells(scores).tolist(), strict=True)
        for product, of_row, slots, bits in rows:
            named = list(of_row.items())
            for slot in slots:
                yield _record(product, *named[slot], bits[slot])


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
    """What answers the holes: image, words and the labels that a row has, where a model asks them.

    Args:
        predictor: The model.
    """

    predictor: Predictor

    def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
        """As `Predictor.predict_table`."""
        return self.predictor.predict_table(table, first, with_known_labels=True)


def bits_of_cells(scores: RowScores) -> np.ndarray:
    """[N, A] bits of the witnesses that answer each cell, 0 without an answer."""
    if scores.witnesses is None:
        return np.where(scores.classes == UNKNOWN, 0, IMAGE)
    return scores.witnesses


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


def _record(product: str, attribute: str, answer: Answer, bits: int) -> Sequence[object]:
    *said, status = answer
    # Names are separated by spaces, so none has one inside.
    names = " ".join(NAMES[bit].replace(" ", "_") for bit in bits_of(bits))
    return product, attribute, *said, names, FILLED if status in _SURE else status
