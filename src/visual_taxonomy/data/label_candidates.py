"""Which columns of a catalogue may be attributes, and why the others are none."""

import polars as pl

from visual_taxonomy.data.label_file import DUMMY

MANY_CLASSES = 30
"""A column of more distinct values than this, most of them in few rows, is taken for text."""

MOST_CLASSES = 1000
"""Of more classes, a head is wider than the features it reads: only who names it gets it."""

_FEW_ROWS = 10
"""In fewer rows, as many values as rows may be chance."""

_NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)*([eE][+-]?[0-9]+)?%?$"


def is_text(distinct: int, labelled: int) -> bool:
    """Whether so many values in so many rows are free text: most rows have one of their own.

    Example:
        >>> is_text(31, 40), is_text(30, 40), is_text(500, 2000)
        (True, False, False)
    """
    return distinct > MANY_CLASSES and 2 * distinct > labelled


def why_no_attribute(labels: pl.Series, categories: pl.Series) -> str | None:
    """Why a column is no attribute, in a few words; None if it may be one, or is empty.

    Args:
        labels: [N] its texts, "" where unknown.
        categories: [N] the products' categories.

    Example:
        >>> kinds = pl.Series(["a", "a", "b", "b"])
        >>> why_no_attribute(pl.Series(["2011", "2012", "", "2011"]), kinds)
        'numbers'
        >>> why_no_attribute(pl.Series(["red", "blue", "", "red"]), kinds) is None
        True
    """
    cells = pl.DataFrame({"label": labels, "category": categories})
    cells = cells.filter(~pl.col("label").is_in(["", DUMMY]))
    rows = len(cells)
    distinct = cells["label"].n_unique()
    if not rows:
        return None
    if distinct == 1:
        return "one value"
    if cells["label"].unique().str.contains(_NUMBER).all():
        return "numbers"
    if is_text(distinct, rows) or (distinct == rows >= _FEW_ROWS):
        return f"{distinct:,} values in {rows:,} rows"
    if distinct > MOST_CLASSES:
        return f"{distinct:,} values"
    # A column that follows from the category leaves nothing to learn.
    of_category = cells.group_by("category").agg(pl.col("label").n_unique())["label"]
    return "one value in each category" if of_category.max() == 1 and len(of_category) > 1 else None


def why_not_learnable(labels: pl.Series) -> str | None:
    """Why nothing can be learnt of a column that was named as an attribute; None if it can.

    Example:
        >>> why_not_learnable(pl.Series(["red", "red", ""]))
        'one value in 2 rows'
    """
    labelled = labels.filter(~labels.is_in(["", DUMMY]))
    distinct = labelled.n_unique()
    if distinct == 1:
        return f"one value in {len(labelled):,} rows"
    if distinct == len(labelled) >= _FEW_ROWS:
        return f"another value in each of {distinct:,} rows"
    return None
