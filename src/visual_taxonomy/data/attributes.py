"""Which attributes each category of a file has, and which classes they have."""

import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.label_candidates import is_text, why_no_attribute, why_not_learnable
from visual_taxonomy.data.label_file import DUMMY, LabelFile
from visual_taxonomy.data.parquet_text import as_text, read_parquet, why_no_text
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.regular_file import reading

BLANK = frozenset({"", DUMMY})
"""What stands in the cells that hold no label."""


class LabelColumns:
    """The labels of a file by category; each column is counted once.

    Args:
        file: The file.
        chosen: Whether the user named the columns that hold labels; otherwise columns of text
            are left out.
    """

    def __init__(self, file: LabelFile, chosen: bool = False) -> None:
        self.file = file
        self._chosen = chosen
        self._counts: dict[str, dict[str, dict[str, int]]] = {}

    def counts(self, column: str) -> Mapping[str, Mapping[str, int]]:
        """Category -> label -> rows; without the cells that hold no label."""
        if column not in self._counts:
            cells = {"category": self.file.column("Category"), "label": self.file.column(column)}
            counts: dict[str, dict[str, int]] = {}
            # In an order that may change from run to run; whoever makes a list of it sorts.
            groups = pl.DataFrame(cells).group_by("category", "label").len()
            for category, label, count in groups.iter_rows():
                if label not in BLANK:
                    counts.setdefault(category, {})[label] = count
            self._counts[column] = counts
        return self._counts[column]

    def classes(self, category: str, column: str) -> list[str]:
        """The distinct labels of a category, sorted."""
        return sorted(self.counts(column).get(category, {}))

    def attributes(self, category: str) -> list[str]:
        """The names of a category's attributes: attr_1, attr_2, ..., or those of its columns.

        Raises:
            InputError: There is none.
        """
        numbered = bool(self.file.slot_columns)
        names = self._numbered(category) if numbered else self._named(category)
        if not names:
            unread = "".join(f" (not read: {reason})" for reason in self.file.unread)
            column = shown(" ".join(self.file.roles.sources("Category")))
            raise InputError(
                f"{self.file.path}, column '{column}': '{shown(category)}' has no label in any "
                "row, so its attributes are not known; label a row, remove the category, or give "
                f"`parq_path`{unread}"
            )
        return names

    def _numbered(self, category: str) -> list[str]:
        slots = self.file.slot_columns
        labelled = [k for k in slots if category in self.counts(f"attr_{k}")]
        # Without `len`, up to the last column that has a label: one before it may have none yet.
        count = self._lengths.get(category, max(labelled, default=0))
        # One more than there are columns is enough for the error on the one that is missing.
        return [f"attr_{k + 1}" for k in range(int(min(count, len(slots) + 1)))]

    def _named(self, category: str) -> list[str]:
        return [name for name in self._candidates if category in self.counts(name)]

    @cached_property
    def _lengths(self) -> dict[str, float]:
        """Category -> the largest `len` in its rows."""
        if "len" not in self.file.columns:
            return {}
        given = self.file.column("len")
        numbers = given.cast(pl.Float64, strict=False)
        values = numbers.fill_null(np.nan).to_numpy()
        with np.errstate(invalid="ignore"):
            is_count = (values >= 1) & (values == np.floor(values))
        wrong = np.flatnonzero(~is_count & (given != "").to_numpy())
        if len(wrong):
            value = shown(given[int(wrong[0])])
            raise self.file.error(
                wrong,
                "len",
                f"'{value}', expected the number of attributes of the category, such as 3; correct "
                "it, or remove the column",
            )
        # Rows that say less are wrong: `read_table` names them once the taxonomy is known.
        longest = pl.DataFrame({"category": self.file.column("Category"), "len": numbers})
        rows = longest.drop_nulls().group_by("category").max().iter_rows()
        return dict(rows)

    @cached_property
    def _candidates(self) -> list[str]:
        """The columns that may be attributes."""
        names = [name for name in self.file.columns if name not in ("id", "Category", "len")]
        if self._chosen:
            if self.file.roles.is_named:
                self._warn_of_unlearnable(names)
            return names
        kind = "are no attributes" if self.file.roles.is_named else "look like free text"
        texts = {name: self._why_none(name) for name in names}
        found = [f"'{shown(name)}' ({text})" for name, text in texts.items() if text]
        if found:
            warnings.warn(
                f"{self.file.path}: columns that {kind} are left out: "
                f"{', '.join(found)}; name the attributes with `attribute_columns`",
                stacklevel=2,
            )
        return [name for name, text in texts.items() if not text]

    def _why_none(self, column: str) -> str | None:
        """Why a column is no attribute; None if it may be one.

        Files in the usual form may have numbers for labels, and columns of one value.
        """
        labels = self.file.column(column)
        if self.file.roles.is_named:
            return why_no_attribute(labels, self.file.column("Category"))
        labelled = labels.filter(~labels.is_in(list(BLANK)))
        distinct = labelled.n_unique()
        return (
            f"{distinct:,} values in {len(labelled):,} rows"
            if is_text(distinct, len(labelled))
            else None
        )

    def _warn_of_unlearnable(self, names: list[str]) -> None:
        reasons = {name: why_not_learnable(self.file.column(name)) for name in names}
        found = [f"'{shown(name)}' ({reason})" for name, reason in reasons.items() if reason]
        if found:
            warnings.warn(
                f"{self.file.path}: nothing can be learnt of these attributes: {', '.join(found)}; "
                "leave them out of `attribute_columns`",
                stacklevel=2,
            )


def read_attributes(parq_path: Path) -> dict[str, list[str]]:
    """Category -> names of its attributes, from a Parquet file with `Category`, `Attribute_list`.

    Raises:
        InputError: The file cannot be used.
    """
    with reading(parq_path, "`parq_path`"):
        frame = read_parquet(parq_path)
    by_folded_name = {name.strip().casefold(): name for name in frame.columns}
    for name in ("Category", "Attribute_list"):
        if name.casefold() not in by_folded_name:
            raise InputError(f"{parq_path}: column {unknown_name(name, frame.columns)}")
    names, no_text = as_text({"Category": frame[by_folded_name["category"]]})
    for name, column in no_text.items():
        raise InputError(f"{parq_path}, {why_no_text(name, column)}")
    lists = frame[by_folded_name["attribute_list"]]
    if lists.dtype != pl.List(pl.String):
        raise InputError(
            f"{parq_path}, column 'Attribute_list': holds {lists.dtype}, expected lists of names"
        )
    attributes: dict[str, list[str]] = {}
    for row, (name, each) in enumerate(zip(names["Category"], lists, strict=True), start=1):
        attributes[_category(parq_path, row, name, attributes)] = _names(parq_path, row, each)
    return attributes


def _category(path: Path, row: int, name: str | None, known: Mapping[str, object]) -> str:
    name = (name or "").strip()
    if not name or name in known:
        problem = "appears twice" if name else "is empty"
        raise InputError(f"{path}, row {row}, column 'Category': '{shown(name)}' {problem}")
    return name


def _names(path: Path, row: int, names: pl.Series | None) -> list[str]:
    found = [] if names is None else [(name or "").strip() for name in names]
    if not found or not all(found):
        raise InputError(
            f"{path}, row {row}, column 'Attribute_list': {shown(found)}, expected the names of "
            "the category's attributes"
        )
    return found
