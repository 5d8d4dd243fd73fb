"""The category of each row of a catalogue.

Shapes: N rows.
"""

import numpy as np
import polars as pl

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy

# Taken for names or ids, not categories: more than this many, most of fewer rows than can train a
# head. A million products of 2,000 categories are a catalogue; 2,000 products of as many are not.
_MANY_CATEGORIES, _LEAST_ROWS = 1000, 10


def category_names(file: LabelFile) -> pl.Series:
    """The category of each row.

    Raises:
        InputError: A cell is empty.
    """
    names = file.column("Category")
    empty = np.flatnonzero((names == "").to_numpy())
    if len(empty):
        raise file.empty(empty, "Category", "every product needs a category")
    return names


def are_categories(count: int, rows: int) -> bool:
    """Whether so many different values in so many rows can be categories, not names or ids.

    Example:
        >>> are_categories(10_000, 20_000), are_categories(2000, 1_000_000)
        (False, True)
    """
    return count <= _MANY_CATEGORIES or rows >= _LEAST_ROWS * count


def check_are_categories(file: LabelFile, categories: pl.Series, count: int) -> None:
    """Refuse a column of names or ids.

    Args:
        file: Where the column stands.
        categories: [N] of `category_names`.
        count: How many different ones there are.

    Raises:
        InputError: There are many, most of few rows.
    """
    if not are_categories(count, len(categories)):
        columns = " ".join(file.roles.sources("Category"))
        raise InputError(
            f"{file.path}, column '{shown(columns)}': {count:,} values in {len(categories):,} rows "
            f"(first '{shown(categories[0])}'), which are no categories: each has attributes and "
            "heads of its own; name the column of the categories (`category_column`), or give all "
            "rows one (`category_name`)"
        )


def read_categories(file: LabelFile, taxonomy: Taxonomy) -> np.ndarray:
    """[N] int64 indices of the categories.

    Raises:
        InputError: A cell is empty, or names no category of the taxonomy.
    """
    names, codes = factorise(category_names(file))
    known = {name: index for index, name in enumerate(taxonomy.categories)}
    categories = np.array([known.get(name, UNKNOWN) for name in names], dtype=np.int64)[codes]
    wrong = np.flatnonzero(categories == UNKNOWN)
    if len(wrong):
        problem = unknown_name(names[codes[wrong[0]]], taxonomy.categories)
        raise file.error(wrong, "Category", f"{problem} Correct it, or add it to the taxonomy")
    return categories


def factorise(column: pl.Series) -> tuple[list[str], np.ndarray]:
    """Distinct texts, and for each row [N] which of them it holds."""
    distinct = column.unique(maintain_order=True)
    # An Enum numbers its texts in the order they are given, so the codes are places in the list.
    return distinct.to_list(), column.cast(pl.Enum(distinct)).to_physical().to_numpy()
