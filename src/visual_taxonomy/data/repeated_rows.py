"""Rows of one id: the images of one product, each in a row of its own.

Shapes: R rows of a file, N products.
"""

from typing import NamedTuple

import numpy as np
import polars as pl


class Products(NamedTuple):
    """The products of a file whose ids are repeated."""

    frame: pl.DataFrame
    """[N] rows: of each column the first value that is not empty."""
    product_of: np.ndarray
    """[R] product of each row."""
    firsts: np.ndarray
    """[N] first row of each product."""
    conflicts: dict[str, tuple[int, int]]
    """Column -> two rows of one product that hold different values, the first such pair."""


def join_rows(frame: pl.DataFrame, ids: pl.Series) -> Products:
    """One row for each id, in the order of their first rows.

    Args:
        frame: [R] columns of text, "" where unknown.
        ids: [R].

    Example:
        >>> frame = pl.DataFrame({"id": ["a", "b", "a"], "color": ["", "red", "blue"]})
        >>> join_rows(frame, frame["id"]).frame.rows()
        [('a', 'blue'), ('b', 'red')]
    """
    distinct = ids.unique(maintain_order=True)
    # An Enum numbers its texts in the order they are given, so the codes are products.
    product_of = ids.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)
    firsts = np.unique(product_of, return_index=True)[1]
    columns, conflicts = {}, {}
    for name in frame.columns:
        cells = frame[name].to_numpy()
        source = first_filled(frame[name], product_of, firsts)
        columns[name] = frame[name].gather(source)
        differs = np.flatnonzero((cells != "") & (cells != cells[source[product_of]]))
        if len(differs):
            conflicts[name] = (int(differs[0]), int(source[product_of[differs[0]]]))
    return Products(pl.DataFrame(columns), product_of, firsts, conflicts)


def first_filled(cells: pl.Series, product_of: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """[N] the first row of each product whose cell is not empty; its first row where all are.

    Args:
        cells: [R] texts.
        product_of: [R] product of each row.
        firsts: [N] first row of each product.

    Example:
        >>> rows = pl.Series(["", "red", "blue"])
        >>> first_filled(rows, np.array([0, 1, 0]), np.array([0, 1])).tolist()
        [2, 1]
    """
    filled = np.flatnonzero((cells != "").to_numpy())[::-1]
    source = firsts.copy()
    # Backwards, so that of several rows the first stays.
    source[product_of[filled]] = filled
    return source
