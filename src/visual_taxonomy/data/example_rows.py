"""A few products of each category, to be looked at.

Shapes: N rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from visual_taxonomy.data.catalogue import CATEGORY, ID
from visual_taxonomy.data.label_file import DUMMY, LabelFile

PER_CATEGORY = 6
_MOST_CATEGORIES = 20
"""The most frequent; 120 thumbnails of 10 kB make a page of a megabyte."""


class ExampleRow(NamedTuple):
    """A product with an image."""

    category: str
    product: str
    """Its id."""
    image: str
    """Path in the folder of the images."""
    labels: list[tuple[str, str]]
    """(column, label) of those that are known."""


def example_rows(
    file: LabelFile, images: Sequence[str | None], columns: Sequence[str]
) -> list[ExampleRow]:
    """Evenly spread products with an image, of each of the most frequent categories.

    Args:
        file: The rows.
        images: [N] paths, None for a row without an image.
        columns: Those of labels.
    """
    if not any(images):
        return []
    names = pl.DataFrame(
        {"row": pl.int_range(len(file), eager=True), "category": file.column(CATEGORY)}
    )
    has_image = pl.Series([name is not None for name in images])
    groups = names.filter(has_image & (names["category"] != "")).group_by("category").agg("row")
    groups = groups.sort([pl.col("row").list.len(), "category"], descending=[True, False])
    found = []
    for category, rows in groups.head(_MOST_CATEGORIES).iter_rows():
        places = np.linspace(0, len(rows) - 1, min(PER_CATEGORY, len(rows))).astype(int)
        for row in (rows[place] for place in places.tolist()):
            labels = [(name, str(file.column(name)[row])) for name in columns]
            known = [(name, label) for name, label in labels if label not in ("", DUMMY)]
            found.append(ExampleRow(category, file.column(ID)[row], str(images[row]), known))
    return found
