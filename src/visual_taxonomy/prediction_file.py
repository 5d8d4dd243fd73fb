"""Predictions of a whole table as a CSV, in the form the competition asked for."""

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.table import Table
from visual_taxonomy.prediction import Predictor, RowScores
from visual_taxonomy.taxonomy import UNKNOWN

MIN_SLOTS = 10
"""The file has columns attr_1 ... attr_10, more where a category has more attributes."""


@dataclass
class Written:
    """What was written.

    Args:
        path: The predictions.
        errors_path: The rows without answer; there is no such file where there are none.
        problems: Id -> why its picture could not be read.
        seconds: Category -> seconds its pictures took, batches shared evenly.
        rows: Category -> its rows.
    """

    path: Path
    errors_path: Path
    problems: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


def write_predictions(
    predictor: Predictor,
    table: Table,
    path: Path,
    with_probabilities: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Written:
    """Predict every row and write id, Category, len, attr_1 ... attr_10.

    Columns that the category does not use hold `dummy_value`; a row whose picture could not be
    read has empty labels and is listed with the reason in `<path>.errors.csv`. Rows are written
    as they are predicted, under a temporary name until all are there.

    Args:
        predictor: The model.
        table: The rows.
        path: The CSV to write.
        with_probabilities: Add prob_1 ... prob_10, the probability of each label.
        on_progress: Called with the number of rows done.

    Raises:
        InputError: The disk is full.
    """
    errors_path = path.with_name(path.name + ".errors.csv")
    written = Written(path, errors_path)
    columns = max(MIN_SLOTS, table.taxonomy.num_slots)
    numbers = range(1, columns + 1)
    header = ["id", "Category", "len", *(f"attr_{i}" for i in numbers)]
    if with_probabilities:
        header += [f"prob_{i}" for i in numbers]
    started, done = time.perf_counter(), 0
    with _writer(path) as writer:
        writer.writerow(header)
        for scores in predictor.predict_table(table):
            writer.writerows(_rows(table, scores, columns, with_probabilities))
            now = time.perf_counter()
            _account(written, table, scores, now - started)
            started, done = now, done + len(scores.rows)
            on_progress(done)
    if written.problems:
        with _writer(errors_path) as writer:
            writer.writerow(["id", "reason"])
            writer.writerows(written.problems.items())
    else:
        errors_path.unlink(missing_ok=True)
    return written


def _rows(
    table: Table, scores: RowScores, columns: int, with_probabilities: bool
) -> Iterator[list[str]]:
    taxonomy = table.taxonomy
    for i, row in enumerate(scores.rows):
        category = table.categories[row]
        slots = taxonomy.slots[category]
        chosen = zip(slots, scores.classes[i][: len(slots)], strict=True)
        labels = [_label(taxonomy.tasks[task].classes, index) for task, index in chosen]
        unused = [DUMMY] * (columns - len(slots))
        line = [str(table.ids[row]), taxonomy.categories[category], str(len(slots))]
        line += labels + unused
        if with_probabilities:
            best = scores.probabilities[i].max(axis=1)[: len(slots)]
            line += [f"{p:.4f}" if label else "" for p, label in zip(best, labels, strict=True)]
            line += unused
        yield line


def _label(classes: tuple[str, ...], index: int) -> str:
    return "" if index == UNKNOWN else classes[index]


def _account(written: Written, table: Table, scores: RowScores, seconds: float) -> None:
    for row in scores.rows:
        name = table.taxonomy.categories[table.categories[row]]
        written.rows[name] = written.rows.get(name, 0) + 1
        written.seconds[name] = written.seconds.get(name, 0.0) + seconds / len(scores.rows)
        if int(row) in scores.problems:
            written.problems[str(table.ids[row])] = scores.problems[int(row)]


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        yield csv.writer(file, lineterminator="\n")
