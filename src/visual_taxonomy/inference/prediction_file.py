"""Predictions of a whole table as a file that can be resumed."""

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.data.table import Table
from visual_taxonomy.inference.answer_columns import CompetitionColumns
from visual_taxonomy.inference.answers import RowScores
from visual_taxonomy.inference.bundle import MANIFEST, checksum, is_bundle
from visual_taxonomy.inference.image_stamps import ImageStamps
from visual_taxonomy.inference.output_forms import OutputForm, WideCsv
from visual_taxonomy.inference.receipt import read_receipt, receipt_path, write_receipt
from visual_taxonomy.inference.resumable import journal_path, partial_path, resumable
from visual_taxonomy.version import __version__


class RowAnswers(Protocol):
    """What answers the rows of a table: a `Predictor`, or something around one."""

    def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
        """Answer the rows from row `first` on, in order, a batch at a time."""
        ...


@dataclass
class Written:
    """What was written.

    Args:
        path: The predictions.
        errors_path: The rows without answer, or answered without some of their images; there is
            no such file where there are none.
        problems: Id -> why its image could not be read, or which of its images were left out.
        seconds: Category -> seconds its images took, batches shared evenly.
        rows: Category -> its rows that were predicted now.
        resumed: Rows that an earlier run had predicted.
        dropped: Rows that an earlier run had predicted and that were predicted again.
        reason: Why they were.
    """

    path: Path
    errors_path: Path
    problems: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    resumed: int = 0
    dropped: int = 0
    reason: str = ""


def write_predictions(
    predictor: RowAnswers,
    table: Table,
    path: Path,
    form: OutputForm | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
    request: str | None = None,
) -> Written:
    """Predict every row and write id, category and the labels.

    A row whose image could not be read has empty labels and is listed with the reason in
    `<path>.errors.csv`. Rows are written as they are predicted, under a temporary name until all
    are there. A killed run resumes when it is started again with the same `request`; rows whose
    images have changed since are predicted again.

    Args:
        predictor: The model.
        table: The rows.
        path: The file to write.
        form: Its form; None: the wide CSV in the competition's columns.
        on_progress: Called with the number of rows done.
        request: From `request_of`; None always starts anew.

    Raises:
        InputError: The disk is full, or another process is writing the file.
    """
    written = Written(path, errors_path(path))
    form = form or WideCsv(CompetitionColumns.of(table.taxonomy))
    stamps = ImageStamps(table) if request is not None else lambda first, last: ""
    with resumable(path, request, stamps) as file:
        for problems in file.notes:
            written.problems |= problems
        written.resumed, written.dropped, written.reason = file.rows, file.dropped, file.reason
        # The header is an entry of 0 rows: with any entry replayed it is in the file already.
        if not file.notes:
            file.append(form.start(), 0, {})
        started = perf_counter()
        for scores in predictor.predict_table(table, file.rows):
            problems = {str(table.ids[row]): text for row, text in scores.problems.items()}
            problems |= {str(table.ids[r]): _left_out(table, s) for r, s in scores.skipped.items()}
            file.append(form.rows(table, scores), len(scores.rows), problems)
            written.problems |= problems
            now = perf_counter()
            _account(written, table, scores, now - started)
            started = now
            on_progress(file.rows)
        # Before the file has its name: a finished one is never without its list of errors.
        _write_errors(written)
        file.finished = form.finish(file.partial)
        if request is not None:
            images, problem_count = stamps(0, len(table)), len(written.problems)
            write_receipt(path, file.finished, request, images, problem_count)
    return written


def _left_out(table: Table, images: Mapping[int, str]) -> str:
    named = (f"{table.images.place(number)}: {why}" for number, why in images.items())
    return f"answered without {'; '.join(named)}"


def finished(path: Path, table: Table, request: str) -> int | None:
    """Number of unreadable images if a CSV is the finished answer to a request, None if not.

    Args:
        path: The CSV.
        table: The rows.
        request: From `request_of`.
    """
    receipt = read_receipt(path, request)
    if receipt is None or receipt[0] != ImageStamps(table)(0, len(table)):
        return None
    return receipt[1]


def errors_path(path: Path) -> Path:
    """Where the rows without answer are listed."""
    return path.with_name(path.name + ".errors.csv")


def companions(path: Path) -> list[Path]:
    """All further files that a prediction to this path writes."""
    return [errors_path(path), partial_path(path), journal_path(path), receipt_path(path)]


def request_of(model: Path, table: Table, *settings: str) -> str:
    """A digest of all that the rows of a prediction depend on, but for the pixels.

    Args:
        model: Checkpoint file or bundle folder; its content counts.
        table: The rows; ids, categories, words and names of the images count, and their order.
        *settings: Form, columns, engine, precision, decision and the like.
    """
    digest = hashlib.sha256()
    # The manifest holds the checksums of all model files, against which they are read.
    model_file = model / MANIFEST if is_bundle(model) else model
    texts = [__version__, checksum(model_file), *settings]
    folder = "" if table.img_dir is None else str(table.img_dir.resolve())
    texts += [folder, str(table.taxonomy.to_dict())]
    arrays = [table.ids, table.categories, table.image_names]
    for array in arrays if table.starts is None else [*arrays, table.starts]:
        # Type and length too, or the bytes of one array could pass for the end of another.
        texts += [str(array.dtype), str(len(array))]
        digest.update(array.tobytes())
    if table.texts is not None:
        texts += [cell for row in table.texts.tolist() for cell in (str(len(row)), *row)]
    digest.update("\0".join(texts).encode())
    return digest.hexdigest()


def _write_errors(written: Written) -> None:
    if not written.problems:
        # The list of an earlier run would name images that can be read by now.
        written.errors_path.unlink(missing_ok=True)
        return
    with (
        write_atomically(written.errors_path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "reason"])
        writer.writerows(written.problems.items())


def _account(written: Written, table: Table, scores: RowScores, seconds: float) -> None:
    for row in scores.rows:
        name = table.taxonomy.categories[table.categories[row]]
        written.rows[name] = written.rows.get(name, 0) + 1
        written.seconds[name] = written.seconds.get(name, 0.0) + seconds / len(scores.rows)
