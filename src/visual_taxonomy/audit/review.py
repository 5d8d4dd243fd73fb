"""The lists as CSV files for a person, and what the person wrote into their last column.

That column, `reviewed`, is empty at first and holds for each row

- nothing, or a marker of a missing value: the label stays as it is;
- a class: the new label;
- `+`: the suggested class;
- `-`: the label becomes unknown, its cell empty.

A class that is called `+`, `-` or like a marker is that class.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.audit.catalogue import Catalogue
from visual_taxonomy.audit.finding import Finding
from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError, shown

REVIEWED = "reviewed"
TAKE, CLEAR = "+", "-"

_COLUMNS: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("id", "category", "attribute", "label", "suggested"), pl.String),
    **dict.fromkeys(("probability", "probability_of_label", "score"), pl.Float64),
    "group": pl.Int64,
    REVIEWED: pl.String,
}


class ReviewedRow(NamedTuple):
    """What a person wants of one label."""

    id: str
    column: str
    """Of the catalogue."""
    label: str | None
    """The class, "" for unknown; None to leave it as it is."""
    place: str
    """File and row, for messages."""


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write a list as CSV, a row a finding, with an empty column for the person.

    Args:
        path: The file.
        findings: In the order in which they are worth looking at.

    Raises:
        InputError: The disk is full.
    """
    rows = [
        (
            *(each.id, each.task.category, each.task.attribute, each.label, each.suggested),
            *(each.probability, each.probability_of_label, each.score, each.group, None),
        )
        for each in findings
    ]
    # The schema gives an empty list its header, and the empty last column the type of text.
    frame = pl.DataFrame(rows, schema=dict(_COLUMNS), orient="row")
    with write_atomically(path) as temporary:
        frame.write_csv(temporary, float_precision=6)


class Review:
    """A file of `write_findings` that a person has filled in.

    It needs the columns `id`, `attribute` and `reviewed`, and `suggested` where `+` is written.
    `category` and `label`, if there, must be what the catalogue says: otherwise that is another
    one, or has changed since the audit.

    Args:
        path: CSV.
        catalogue: What is to be corrected.

    Raises:
        InputError: The file cannot be read, or a column is missing.
    """

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        # An id or a class may be called like a marker of a missing value.
        self.file = LabelFile(path, LabelReading(missing_values=()))
        self.catalogue = catalogue
        needed = ("id", "attribute", REVIEWED)
        others = ("Category", "label", "suggested")
        names = (*needed, *(name for name in others if name in self.file.columns))
        self._texts = {name: self.file.column(name).to_list() for name in names}

    def __iter__(self) -> Iterator[ReviewedRow]:
        """All rows.

        Raises:
            InputError: A row names no product, attribute or class, or does not fit the catalogue.
        """
        for row, given in enumerate(self._texts[REVIEWED]):
            place = f"{self.file.path}, row {self.file.line(row)}"
            # Rows that ask for nothing are not checked: their product may be gone since the audit.
            if not given:
                yield ReviewedRow("", "", None, place)
                continue
            product, category = self._product(row)
            label = self._label(row, given, self._classes(row, category))
            column = self.catalogue.column(category, self._texts["attribute"][row])
            if label is not None:
                self._check_unchanged(row, label, self.catalogue.label(product, column))
            yield ReviewedRow(product, column, label, place)

    def _product(self, row: int) -> tuple[str, str]:
        """Id and category."""
        product, path = self._texts["id"][row], self.catalogue.path
        if product not in self.catalogue.rows:
            near = get_close_matches(product, self.catalogue.rows, n=1)
            hint = f"; did you mean '{shown(near[0])}'?" if near else "; correct it"
            raise self.error(row, "id", f"'{shown(product)}' is not in {path}{hint}")
        category = self.catalogue.category(product)
        given = self._texts.get("Category", {row: category})[row]
        if given != category:
            raise self.error(
                row,
                "category",
                f"'{shown(given)}', but {path} says '{shown(category)}'; apply the review to the "
                "file that was audited",
            )
        return product, category

    def _classes(self, row: int, category: str) -> tuple[str, ...]:
        taxonomy, attribute = self.catalogue.taxonomy, self._texts["attribute"][row]
        if attribute not in taxonomy.attributes(category):
            problem = unknown_name(attribute, taxonomy.attributes(category))
            raise self.error(
                row, "attribute", f"{problem} Correct it, or name the run that was audited (`run`)"
            )
        return taxonomy.task(category, attribute).classes

    def _label(self, row: int, given: str, classes: tuple[str, ...]) -> str | None:
        if given in classes:
            return given
        if given in self.catalogue.reading.missing_values:
            return None
        if given == CLEAR:
            return ""
        column = REVIEWED
        if given == TAKE and "suggested" in self._texts:
            column, given = "suggested", self._texts["suggested"][row]
        if given in classes:
            return given
        problem = unknown_name(given, classes)
        raise self.error(
            row,
            column,
            f"{problem} Correct it, leave '{REVIEWED}' empty to keep the label, or write "
            f"'{CLEAR}' to empty it",
        )

    def _check_unchanged(self, row: int, wanted: str, now: str) -> None:
        then = self._texts.get("label", {row: now})[row]
        # `wanted` may stand there: the review was applied before, or the label corrected by hand.
        if now not in (then, wanted):
            raise self.error(
                row,
                "label",
                f"'{shown(then)}', but {self.catalogue.path} has '{shown(now)}' there: it has "
                "changed since the audit; audit it again",
            )

    def error(self, row: int, column: str, problem: str) -> InputError:
        """The error for a cell of the file."""
        return self.file.error(np.array([row]), column, problem)
