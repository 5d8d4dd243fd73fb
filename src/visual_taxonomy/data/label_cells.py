"""The cells of the label columns as class indices.

Shapes: N rows, K categories, A slots.
"""

from collections.abc import Callable, Sequence

import numpy as np

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.attributes import BLANK
from visual_taxonomy.data.category_column import factorise
from visual_taxonomy.data.label_file import DUMMY, LabelFile
from visual_taxonomy.data.label_reading import UnknownLabels
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import UNKNOWN, Task, Taxonomy

# Not -1, which is a label that is unknown and allowed.
_WRONG = -2


def columns_of_slots(
    file: LabelFile, taxonomy: Taxonomy, categories: np.ndarray, needs_all: bool
) -> dict[str, list[int | None]]:
    """Column -> for each of the K categories the slot whose labels it holds, None for none.

    Args:
        file: The catalogue.
        taxonomy: Categories and attributes.
        categories: [N] indices of the rows' categories.
        needs_all: Whether a category that occurs needs a column for each of its attributes.

    Raises:
        InputError: There is no column with labels, or one is missing.
    """
    attributes = [taxonomy.attributes(category) for category in taxonomy.categories]
    if file.slot_columns:
        names = [[f"attr_{k + 1}" for k in range(len(each))] for each in attributes]
        columns = [f"attr_{k}" for k in file.slot_columns]
    else:
        names = [list(each) for each in attributes]
        # Others are left unread: exports hold prices and descriptions beside the attributes.
        columns = [name for name in file.columns if any(name in each for each in names)]
    if not columns:
        raise InputError(
            f"{file.path}: no column with labels; name them attr_1, attr_2, ... or by the "
            f"attributes ({', '.join(dict.fromkeys(sum(attributes, ())))})"
        )
    # Only categories that occur: a file of sarees need not have the columns of shirts.
    for category in np.unique(categories) if needs_all else ():
        for name in names[category]:
            file.column(name)
    return {
        column: [each.index(column) if column in each else None for each in names]
        for column in columns
    }


def read_labels(
    file: LabelFile,
    taxonomy: Taxonomy,
    categories: np.ndarray,
    column: str,
    slots: Sequence[int | None],
    targets: np.ndarray,
    unknown_labels: UnknownLabels,
) -> None:
    """Fill in what a column says.

    Args:
        file: The catalogue.
        taxonomy: Attributes and classes.
        categories: [N] indices of the rows' categories.
        column: Its name.
        slots: [K] the slot of each category, as `columns_of_slots` gives it.
        targets: [N, A] class indices, written in place.
        unknown_labels: What becomes of labels that the taxonomy does not have.

    Raises:
        InputError: A cell holds a label that is no class, or one of an attribute that its
            category does not have.
    """
    labels, codes = factorise(file.column(column))
    tasks = [
        None if slot is None else taxonomy.tasks[taxonomy.slots[category][slot]]
        for category, slot in enumerate(slots)
    ]
    otherwise = UNKNOWN if unknown_labels == "ignore" else _WRONG
    # Every label is looked up once for each category, not once for each row.
    values = np.array([_encode(task, labels, otherwise) for task in tasks])[categories, codes]
    wrong = np.flatnonzero(values == _WRONG)
    if len(wrong):
        row = int(wrong[0])
        problem = _wrong_label(
            tasks[categories[row]], labels[codes[row]], taxonomy, categories[row]
        )
        raise file.error(wrong, column, problem)
    for category, slot in enumerate(slots):
        if slot is not None:
            # One column may be another slot in each category, and another task with other classes.
            rows = categories == category
            targets[rows, slot] = values[rows]


def _encode(task: Task | None, labels: Sequence[str], otherwise: int) -> list[int]:
    """Index of each label, `otherwise` for one that is no class."""
    if task is None:
        return [UNKNOWN if label in BLANK else _WRONG for label in labels]
    # A class may be called as the dummy is; classes come last, so they win.
    known = {"": UNKNOWN, DUMMY: _WRONG} | {label: i for i, label in enumerate(task.classes)}
    return [known.get(label, otherwise) for label in labels]


def note_markers(file: LabelFile, columns: Sequence[str], on_note: Callable[[str], None]) -> None:
    """Say how many cells hold a text that means unknown, and which texts they are."""
    markers = file.markers(columns)
    if markers:
        by_count = sorted(markers, key=lambda text: (-markers[text], text))
        each = ", ".join(f"'{text}' {markers[text]:,}" for text in by_count)
        on_note(
            f"note: {file.path}: cells read as unknown because they hold a marker of a missing "
            f"value: {sum(markers.values()):,} ({each}); change the markers with `missing_values`"
        )


def _wrong_label(task: Task | None, label: str, taxonomy: Taxonomy, category: int) -> str:
    if task is None:
        name = taxonomy.categories[category]
        attributes = ", ".join(taxonomy.attributes(name))
        return (
            f"'{shown(label)}', but {name} has no attribute here, only {attributes}; empty the "
            "cell, or use the taxonomy that belongs to this file"
        )
    problem = unknown_name(label, task.classes)
    return f"{problem} Correct the label of {task.name}, empty it, or add it to the taxonomy"
