"""The forms in which predictions of a table are written.

The wide CSV has a line for each product and is what people publish. The long forms (CSV, Parquet,
JSON Lines) have a record for each attribute of each product, with probability, runner-up and
status: what people review, and what programs read.
"""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from typing_extensions import override

from visual_taxonomy.config import OutputFormat
from visual_taxonomy.data.table import Table
from visual_taxonomy.inference.answer_columns import AnswerColumns, answer_lines
from visual_taxonomy.inference.answers import RowScores, named_answers

LONG_COLUMNS = (
    *("id", "category", "attribute", "label", "probability"),
    *("runner_up", "runner_up_probability", "status"),
)
_PROBABILITIES = ("probability", "runner_up_probability")

_ROWS_A_GROUP = 100_000
"""Of a Parquet file. Polars keeps a few groups in memory while it writes, about 10 MB each."""


class OutputForm(ABC):
    """How predictions become the bytes of a file that grows a batch at a time."""

    @abstractmethod
    def start(self) -> bytes:
        """What stands before the first row."""

    @abstractmethod
    def rows(self, table: Table, scores: RowScores) -> bytes:
        """What stands for a batch of rows of a table."""

    def finish(self, partial: Path) -> Path:
        """The finished file, made of the one that has all rows; that one itself as a rule."""
        return partial


@dataclass(frozen=True)
class WideCsv(OutputForm):
    """A line for each product.

    Args:
        columns: From `choose_columns`.
        with_probabilities: Add a column with the probability of each label.
        unknown: Text of answers that are not sure enough.
    """

    columns: AnswerColumns
    with_probabilities: bool = False
    unknown: str = ""

    @override
    def start(self) -> bytes:
        return csv_lines([self.columns.header(self.with_probabilities)])

    @override
    def rows(self, table: Table, scores: RowScores) -> bytes:
        shares, unknown = self.with_probabilities, self.unknown
        return csv_lines(answer_lines(table, scores, self.columns, shares, unknown))


class LongCsv(OutputForm):
    """A line for each attribute of each product; an empty cell where there is no image."""

    @override
    def start(self) -> bytes:
        return csv_lines([LONG_COLUMNS])

    @override
    def rows(self, table: Table, scores: RowScores) -> bytes:
        return csv_lines(map(texts_of, _records(table, scores)))


class JsonLines(OutputForm):
    """The records of the long CSV as JSON, one a line; null where there is no image."""

    @override
    def start(self) -> bytes:
        return b""

    @override
    def rows(self, table: Table, scores: RowScores) -> bytes:
        lines = (
            json.dumps(dict(zip(LONG_COLUMNS, map(_rounded, record), strict=True)), **_AS_TEXT)
            for record in _records(table, scores)
        )
        return "".join(f"{line}\n" for line in lines).encode()


class Parquet(LongCsv):
    """The records of the long CSV, probabilities as float32.

    It grows as the long CSV, so that a killed run loses nothing, and is made of that at the end, a
    few row groups at a time.
    """

    @override
    def finish(self, partial: Path) -> Path:
        path = partial.with_name(f"{partial.name}.parquet")
        # As text first: ids and labels that look like numbers must stay as they are.
        texts = pl.scan_csv(partial, schema=dict.fromkeys(LONG_COLUMNS, pl.String))
        rows = texts.with_columns(pl.col(*_PROBABILITIES).cast(pl.Float32))
        rows.sink_parquet(path, row_group_size=_ROWS_A_GROUP)
        return path


LONG_FORMS: dict[OutputFormat, type[OutputForm]] = {
    "long-csv": LongCsv,
    "parquet": Parquet,
    "jsonl": JsonLines,
}

# Names stay readable, and flat records need not be searched for cycles.
_AS_TEXT: dict[str, Any] = {"ensure_ascii": False, "check_circular": False}


def _records(table: Table, scores: RowScores) -> Iterator[tuple[Any, ...]]:
    """The values of `LONG_COLUMNS` for each attribute of each row of a batch."""
    categories = table.categories[scores.rows]
    answers = named_answers(table.taxonomy, categories, scores)
    starts = zip(table.ids[scores.rows].tolist(), categories.tolist(), strict=True)
    for (name, category), of_row in zip(starts, answers, strict=True):
        for attribute, answer in of_row.items():
            yield (name, table.taxonomy.categories[category], attribute, *answer)


def texts_of(record: Iterable[object]) -> list[str]:
    """The values of a record as a CSV holds them."""
    return [
        f"{value:.6f}" if isinstance(value, float) else "" if value is None else str(value)
        for value in record
    ]


def _rounded(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def csv_lines(lines: Iterable[Sequence[str]]) -> bytes:
    """Lines of a CSV."""
    text = io.StringIO()
    # csv.writer ends lines with "\r\n" unless told otherwise.
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
