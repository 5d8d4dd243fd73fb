"""The words of products: titles, brands, descriptions, as their file has them.

Shapes: N rows, X text columns.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import Taxonomy

MOST_CHARACTERS = 2000
"""Of a text, about 300 words: one of a megabyte would take as long as all others together."""


def read_texts(
    file: LabelFile, taxonomy: Taxonomy, on_note: Callable[[str], None] = lambda note: None
) -> np.ndarray | None:
    """[N, X] str of the text columns, "" for none; None if there is no such column.

    Args:
        file: The rows.
        taxonomy: None of its attributes may be a text column.
        on_note: Called with what is cut off.

    Raises:
        InputError: A text column is an attribute, or holds no text.
    """
    attributes = {task.attribute for task in taxonomy.tasks}
    twice = [name for name in file.roles.text_columns if name in attributes]
    if twice and not file.slot_columns:
        raise InputError(
            f"{file.path}: `text_columns`: '{shown(twice[0])}' is an attribute, too; a label would "
            "be predicted from itself. Take it out of one of the two"
        )
    if not file.texts:
        return None
    columns = [_cut(file, column, on_note) for column in file.texts]
    return np.stack([np.array(column.to_list(), dtype=object) for column in columns], axis=1)


def _cut(file: LabelFile, column: pl.Series, on_note: Callable[[str], None]) -> pl.Series:
    is_long = (column.str.len_chars() > MOST_CHARACTERS).to_numpy()
    rows = np.flatnonzero(is_long)
    if len(rows):
        on_note(
            f"note: {file.path}, row {file.line(int(rows[0]))}, column '{shown(column.name)}': "
            f"{len(rows):,} texts are longer than {MOST_CHARACTERS:,} characters; what comes "
            "behind is not read"
        )
    return column.str.slice(0, MOST_CHARACTERS)
