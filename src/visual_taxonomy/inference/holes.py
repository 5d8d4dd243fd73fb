"""Which cells of a catalogue file are empty and can be filled.

Shapes: N products, R rows of the file, K categories, A slots.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.cell_files.base import CellFile
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.named_columns import is_slot_column
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import Taxonomy


class Holes(NamedTuple):
    """The empty cells of a file."""

    is_hole: np.ndarray
    """[N, A] bool: no row of the product has a label, and one has an empty cell; never where the
    category has no such slot."""
    rows: np.ndarray
    """[R] product of each row of the file: 0, 1, 2, ... unless ids are repeated."""
    is_empty: np.ndarray
    """[R, A] bool: a cell that takes the answer to its product's hole."""
    columns: list[list[str | None]]
    """[K][A] the column of each slot; None where the file has none, or it is not asked for."""
    markers: dict[str, int]
    """Marker of a missing value -> cells that hold it and are left as they are."""


def find_holes(
    file: CellFile,
    id_column: str,
    table: Table,
    only: Sequence[str] = (),
    markers: Collection[str] = (),
    fill_markers: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> Holes:
    """Find the empty cells of attributes; the bytes of the file are compared with the table.

    Args:
        file: The cells.
        id_column: The column of the ids.
        table: Of `read_table` of the same file; rows of one id are one product of it.
        only: Attributes to fill; empty: all.
        markers: Texts that mean a missing value.
        fill_markers: Whether a cell that holds one of them counts as empty.
        on_note: Called with what a person should know.

    Raises:
        InputError: An attribute does not exist or has no column, there is no empty cell, or the
            rows of file and table differ.
    """
    columns = _columns(file, table, only, on_note)
    names = list(dict.fromkeys(name for of_category in columns for name in of_category if name))
    places = _places(table.taxonomy, columns, names, markers)
    found: dict[str, int] = {}
    rows, empty = array("q"), array("q")
    num_slots, categories = table.targets.shape[1], table.categories.tolist()
    is_known = np.zeros(table.targets.shape, dtype=np.bool_)
    for row, texts in _products(file, table, file.texts(id_column, names)):
        for slot, place, missing in places[categories[row]]:
            text = texts[place]
            if text not in missing:
                is_known[row, slot] = True
            elif text and not fill_markers:
                found[text] = found.get(text, 0) + 1
            else:
                empty.append(len(rows) * num_slots + slot)
        rows.append(row)
    products = np.array(rows, dtype=np.int64)
    is_empty = np.zeros((len(products), num_slots), dtype=np.bool_)
    is_empty.flat[np.array(empty, dtype=np.int64)] = True
    # What another row of the product says is known: such a cell is empty, and no hole.
    is_empty &= ~is_known[products]
    is_hole = np.zeros_like(is_known)
    cells, slots = np.nonzero(is_empty)
    is_hole[products[cells], slots] = True
    _check_found(file, is_hole, found, names)
    if found:
        on_note(f"note: {file.path}: {_marked(found)} stay; fill them with `fill_markers`")
    return Holes(is_hole, products, is_empty, columns, found)


def _products(
    file: CellFile, table: Table, rows: Iterable[tuple[str, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Each row of the file with the number of its product in the table.

    Raises:
        InputError: The rows of file and table differ.
    """
    ids = table.ids.tolist()
    numbers: dict[str, int] = {}
    seen = 0
    for product, texts in rows:
        row = seen
        if seen == len(ids) or product != ids[seen]:
            # Only a file that repeats ids pays for this.
            numbers = numbers or {name: number for number, name in enumerate(ids)}
            row = numbers.get(product, seen)
            if row >= seen:
                raise _misread(file, product)
        seen = max(seen, row + 1)
        yield row, texts
    if seen != len(ids):
        raise _misread(file, ids[seen])


def _columns(
    file: CellFile, table: Table, only: Sequence[str], on_note: Callable[[str], None]
) -> list[list[str | None]]:
    taxonomy = table.taxonomy
    numbered = any(map(is_slot_column, table.columns))
    present = {*table.columns} & {*file.names}
    known = list(dict.fromkeys(task.attribute for task in taxonomy.tasks))
    for name in only:
        if name not in known:
            raise InputError(f"`only`: {unknown_name(name, known)}")
    columns: list[list[str | None]] = []
    absent: dict[str, None] = {}
    for k, slots in enumerate(taxonomy.slots):
        of_category: list[str | None] = []
        for slot, task in enumerate(slots):
            attribute = taxonomy.tasks[task].attribute
            name = f"attr_{slot + 1}" if numbered else attribute
            is_asked = not only or attribute in only
            of_category.append(name if is_asked and name in present else None)
            # Only of categories that occur: a file of sarees need not have the columns of shirts.
            if is_asked and name not in present and (table.categories == k).any():
                absent[name] = None
        columns.append(of_category)
    if absent:
        on_note(f"note: {file.path}: no column, so not filled: {', '.join(map(shown, absent))}")
    return columns


def _places(
    taxonomy: Taxonomy,
    columns: list[list[str | None]],
    names: Sequence[str],
    markers: Collection[str],
) -> list[list[tuple[int, int, frozenset[str]]]]:
    """For each category (slot, place among the names, texts that mean a missing value)."""
    place = {name: i for i, name in enumerate(names)}
    return [
        [
            # What is called like a marker, and is a class, is a label.
            (slot, place[name], frozenset({"", *markers} - {*taxonomy.tasks[task].classes, DUMMY}))
            for slot, (task, name) in enumerate(zip(slots, of_category, strict=True))
            if name is not None
        ]
        for slots, of_category in zip(taxonomy.slots, columns, strict=True)
    ]


def _check_found(
    file: CellFile, is_hole: np.ndarray, found: dict[str, int], names: Sequence[str]
) -> None:
    if is_hole.any():
        return
    if not names:
        raise InputError(f"{file.path}: no column of an attribute that is asked for; add one")
    hint = f"; {_marked(found)}: fill them with `fill_markers`" if found else ""
    raise InputError(
        f"{file.path}: no empty cell in {', '.join(map(shown, names))}, so there is nothing to "
        f"fill{hint}"
    )


def _marked(found: dict[str, int]) -> str:
    each = ", ".join(f"'{text}' {found[text]:,}" for text in sorted(found))
    return f"cells with a marker of a missing value: {sum(found.values()):,} ({each})"


def _misread(file: CellFile, product: str) -> InputError:
    return InputError(
        f"{file.path}, id '{shown(product)}': its quotes or line ends are unusual, so single cells "
        "cannot be changed safely; save it anew as 'CSV UTF-8' and fill that"
    )
