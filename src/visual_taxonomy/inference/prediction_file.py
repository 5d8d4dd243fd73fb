"""Predictions of a whole table as a CSV, in the form the competition asked for."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from visual_taxonomy import __version__
from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.table import Table
from visual_taxonomy.inference.bundle import MANIFEST, checksum, is_bundle
from visual_taxonomy.inference.prediction import Predictor, RowScores
from visual_taxonomy.inference.resumable import resumable
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
        rows: Category -> its rows that were predicted now.
        resumed: Rows that an earlier run had predicted.
    """

    path: Path
    errors_path: Path
    problems: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    resumed: int = 0


def write_predictions(
    predictor: Predictor,
    table: Table,
    path: Path,
    with_probabilities: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
    request: str | None = None,
) -> Written:
    """Predict every row and write id, Category, len, attr_1 ... attr_10.

    Columns that the category does not use hold `dummy_value`; a row whose picture could not be
    read has empty labels and is listed with the reason in `<path>.errors.csv`. Rows are written
    as they are predicted, under a temporary name until all are there. A run that is killed is
    gone on with where it stopped, if `request` is the same.

    Args:
        predictor: The model.
        table: The rows.
        path: The CSV to write.
        with_probabilities: Add prob_1 ... prob_10, the probability of each label.
        on_progress: Called with the number of rows done.
        request: From `request_of`; None always starts anew.

    Raises:
        InputError: The disk is full, or another process is writing the file.
    """
    written = Written(path, path.with_name(path.name + ".errors.csv"))
    columns = max(MIN_SLOTS, table.taxonomy.num_slots)
    with resumable(path, request) as file:
        for problems in file.notes:
            written.problems |= problems
        written.resumed = file.rows
        if not file.notes:
            file.append([_header(columns, with_probabilities)], 0, {})
        started = perf_counter()
        for scores in predictor.predict_table(table, file.rows):
            problems = {str(table.ids[row]): text for row, text in scores.problems.items()}
            file.append(
                _rows(table, scores, columns, with_probabilities), len(scores.rows), problems
            )
            written.problems |= problems
            now = perf_counter()
            _account(written, table, scores, now - started)
            started = now
            on_progress(file.rows)
    _write_errors(written)
    return written


def request_of(model: Path, table: Table, with_probabilities: bool, *settings: str) -> str:
    """A digest of all that the rows of a prediction depend on, but for the pixels.

    Args:
        model: Checkpoint file or bundle folder; its content counts.
        table: The rows; ids, categories and names of the pictures count, and their order.
        with_probabilities: Whether there are columns for them.
        *settings: Engine, precision and the like.
    """
    digest = hashlib.sha256()
    model_file = model / MANIFEST if is_bundle(model) else model
    texts = [__version__, checksum(model_file), str(with_probabilities), *settings]
    texts += [str(table.img_dir.resolve()), str(table.taxonomy.to_dict())]
    for array in (table.ids, table.categories, table.image_names):
        texts += [str(array.dtype), str(len(array))]
        digest.update(array.tobytes())
    digest.update("\0".join(texts).encode())
    return digest.hexdigest()


def _header(columns: int, with_probabilities: bool) -> list[str]:
    numbers = range(1, columns + 1)
    header = ["id", "Category", "len", *(f"attr_{i}" for i in numbers)]
    return header + [f"prob_{i}" for i in numbers] if with_probabilities else header


def _write_errors(written: Written) -> None:
    if not written.problems:
        written.errors_path.unlink(missing_ok=True)
        return
    with (
        write_atomically(written.errors_path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "reason"])
        writer.writerows(written.problems.items())


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
