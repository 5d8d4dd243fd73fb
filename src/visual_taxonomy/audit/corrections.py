"""A corrected copy of the label file."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.audit.catalogue import Catalogue
from visual_taxonomy.audit.csv_cells import replace_cells
from visual_taxonomy.audit.review import CLEAR, Review
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.errors import InputError, shown

Changes = Mapping[str, Mapping[str, str]]
"""Id -> column -> new label, "" for unknown."""


class Applied(NamedTuple):
    """What became of the rows of the reviews."""

    changes: Changes
    already: int
    """Labels that stand in the catalogue as they were reviewed."""
    left: int
    """Rows that ask for nothing."""

    @property
    def num_changed(self) -> int:
        """Labels that the copy has other than the catalogue."""
        return sum(map(len, self.changes.values()))


def apply_reviews(catalogue: Catalogue, reviews: Sequence[Path], out: Path) -> Applied:
    """Write a copy of a label file with the reviewed labels; all its other bytes stay.

    Args:
        catalogue: The label file.
        reviews: Files of `write_findings` that a person has filled in; see `review`.
        out: The copy.

    Raises:
        InputError: The copy would be one of the files that are read; a row of a review is wrong,
            or two want different labels; the disk is full.
    """
    for path in (catalogue.path, *reviews):
        # samefile sees through links and other spellings of one path; it wants both to exist.
        if path.exists() and out.exists() and path.samefile(out):
            raise InputError(f"{out}: the copy would replace {path}; give it another name")
    wanted, left = _wanted(catalogue, reviews)
    changes: dict[str, dict[str, str]] = {}
    for (product, column), label in wanted.items():
        if catalogue.label(product, column) != label:
            changes.setdefault(product, {})[column] = label
    file = catalogue.file
    content = replace_cells(
        catalogue.path.read_bytes(), changes, file.roles.id_column, file.delimiter
    )
    with write_atomically(out) as temporary:
        temporary.write_bytes(content)
        # Inside the block: a copy that reads differently never gets its name.
        _check_copy(catalogue, changes, temporary)
    return Applied(changes, len(wanted) - sum(map(len, changes.values())), left)


def _wanted(
    catalogue: Catalogue, reviews: Sequence[Path]
) -> tuple[dict[tuple[str, str], str], int]:
    """(Id, column) -> label, and how many rows ask for nothing."""
    wanted: dict[tuple[str, str], str] = {}
    places: dict[tuple[str, str], str] = {}
    left = 0
    for path in reviews:
        for product, column, label, place in Review(path, catalogue):
            if label is None:
                left += 1
                continue
            cell = product, column
            if wanted.setdefault(cell, label) != label:
                raise InputError(
                    f"{place}, column 'reviewed': '{shown(label or CLEAR)}', but {places[cell]} "
                    f"says '{shown(wanted[cell] or CLEAR)}' of the same label; correct one of them"
                )
            places.setdefault(cell, place)
    return wanted, left


def _check_copy(catalogue: Catalogue, changes: Changes, written: Path) -> None:
    """Read the copy as training would: only the named labels may be others."""
    expected = catalogue.file.frame
    for column in {column for of_product in changes.values() for column in of_product}:
        labels = expected[column].to_list()
        for product, of_product in changes.items():
            if column in of_product:
                labels[catalogue.rows[product]] = of_product[column]
        expected = expected.with_columns(pl.Series(column, labels, dtype=pl.String))
    with warnings.catch_warnings():  # the catalogue itself has given them already
        warnings.simplefilter("ignore")
        found = LabelFile(written, catalogue.reading).frame
    if not found.equals(expected):
        raise InputError(
            f"{catalogue.path}: its quotes or line ends are unusual, so single cells cannot be "
            "changed safely; save it anew as 'CSV UTF-8' and apply the review to that"
        )
