"""Which columns a file of predictions has: those of the competition, or one for each attribute."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

from typing_extensions import override

from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.named_columns import is_slot_column
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answers import RowScores, label_texts, probability_texts
from visual_taxonomy.taxonomy import Taxonomy

Form = Literal["auto", "named", "competition"]

MIN_SLOTS = 10
"""The competition's form has columns attr_1 ... attr_10, more where a category has more."""


class AnswerColumns(ABC):
    """The columns of a file of predictions."""

    @abstractmethod
    def header(self, with_probabilities: bool) -> list[str]:
        """The names of the columns."""

    @abstractmethod
    def line(
        self, start: list[str], category: int, labels: list[str], shares: list[str] | None
    ) -> list[str]:
        """The line of a row.

        Args:
            start: Its id and category.
            category: Index of the category.
            labels: Of its attributes, in their order; empty for no answer.
            shares: Their probabilities as text; None leaves them out.
        """


@dataclass(frozen=True)
class CompetitionColumns(AnswerColumns):
    """id, Category, len, attr_1 ... attr_10, with `dummy_value` in those a category has not.

    Args:
        count: Number of label columns.
    """

    count: int

    @classmethod
    def of(cls, taxonomy: Taxonomy) -> "CompetitionColumns":
        """As many columns as the widest category needs, ten at least."""
        return cls(max(MIN_SLOTS, taxonomy.num_slots))

    @override
    def header(self, with_probabilities: bool) -> list[str]:
        numbers = range(1, self.count + 1)
        header = ["id", "Category", "len", *(f"attr_{i}" for i in numbers)]
        return header + [f"prob_{i}" for i in numbers] if with_probabilities else header

    @override
    def line(
        self, start: list[str], category: int, labels: list[str], shares: list[str] | None
    ) -> list[str]:
        unused = [DUMMY] * (self.count - len(labels))
        line = [*start, str(len(labels)), *labels, *unused]
        return line if shares is None else [*line, *shares, *unused]


class NamedColumns(AnswerColumns):
    """id, Category and a column for each attribute, empty where a category has no such attribute.

    Args:
        taxonomy: What is predicted.
        first: Attributes whose columns come first; the others follow in the taxonomy's order.
        with_length: Add `len` behind Category: how many attributes the category has.

    Raises:
        InputError: Two columns would have one name.
    """

    def __init__(
        self, taxonomy: Taxonomy, first: Sequence[str] = (), with_length: bool = False
    ) -> None:
        self.start = ["id", "Category", *(["len"] if with_length else [])]
        attributes = [task.attribute for task in taxonomy.tasks]
        self.names = list(dict.fromkeys([*first, *attributes]))
        place = {name: i for i, name in enumerate(self.names)}
        self._places = [
            [place[taxonomy.tasks[task].attribute] for task in slots] for slots in taxonomy.slots
        ]
        reserved = {"id", "category", "len"}  # in any case, as the reader has it
        wrong = next((name for name in self.names if name.casefold() in reserved), None)
        if wrong is not None:
            raise InputError(
                f"`columns=named`: an attribute is called '{wrong}', which is the name of another "
                "column; use `columns=competition`"
            )

    @override
    def header(self, with_probabilities: bool) -> list[str]:
        header = [*self.start, *self.names]
        if with_probabilities:
            header += [f"{name}_prob" for name in self.names]
            twice = next((name for name in header if header.count(name) > 1), None)
            if twice is not None:
                raise InputError(
                    f"`probabilities`: an attribute is called '{twice}', which is the name of a "
                    "column of probabilities; use `columns=competition`"
                )
        return header

    @override
    def line(
        self, start: list[str], category: int, labels: list[str], shares: list[str] | None
    ) -> list[str]:
        length = [str(len(labels))] if "len" in self.start else []
        line = [*start, *length, *self._spread(category, labels)]
        return line if shares is None else line + self._spread(category, shares)

    def _spread(self, category: int, values: list[str]) -> list[str]:
        spread = [""] * len(self.names)
        for place, value in zip(self._places[category], values, strict=True):
            spread[place] = value
        return spread


def choose_columns(table: Table, form: Form, named_model: bool) -> AnswerColumns:
    """The columns in which the rows of a table are answered.

    "auto" answers as the table asks: by attributes if it has columns of their names, else in the
    competition's form if it has attr_1, attr_2, ... or len. A table of id and Category alone is
    answered as the model's training CSV was written.

    Args:
        table: The rows.
        form: The form asked for.
        named_model: Whether the model's training CSV named its label columns by the attributes.

    Raises:
        InputError: Two columns would have one name.
    """
    asked = bool(table.named_columns)
    told = "len" in table.columns or any(map(is_slot_column, table.columns))
    if form == "competition" or (form == "auto" and not asked and (told or not named_model)):
        return CompetitionColumns.of(table.taxonomy)
    return NamedColumns(table.taxonomy, table.named_columns, asked and "len" in table.columns)


def answer_lines(
    table: Table,
    scores: RowScores,
    columns: AnswerColumns,
    with_probabilities: bool,
    unknown: str = "",
) -> Iterator[list[str]]:
    """The lines of a batch of rows.

    Args:
        table: All rows.
        scores: Answers of some of them.
        columns: Of the file.
        with_probabilities: Whether it has columns for them.
        unknown: Text of answers that are not sure enough.
    """
    taxonomy, categories = table.taxonomy, table.categories[scores.rows]
    starts = zip(table.ids[scores.rows].tolist(), categories.tolist(), strict=True)
    shares: Iterable[list[str] | None] = repeat(None)
    if with_probabilities:
        shares = probability_texts(taxonomy, categories, scores)
    labels = label_texts(taxonomy, categories, scores, unknown)
    # `shares` has no end where there are none to write, so the lengths may differ.
    for (name, category), texts, of_row in zip(starts, labels, shares, strict=False):
        yield columns.line([name, taxonomy.categories[category]], category, texts, of_row)
