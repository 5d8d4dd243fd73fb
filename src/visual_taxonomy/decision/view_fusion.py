"""One answer for a product of several images, from what a model makes of each.

Shapes: V images, N products, A slots, C classes of the widest task.
"""

from typing import NamedTuple

import numpy as np


class Fused(NamedTuple):
    """The answers of N products."""

    probabilities: np.ndarray
    """[N, A, C] float32; 0 where no image could be read."""
    is_answered: np.ndarray
    """[N] bool."""


def fuse_views(
    probabilities: np.ndarray, products: np.ndarray, is_readable: np.ndarray, count: int
) -> Fused:
    """The mean of the probabilities of each product's images; those unread are left out.

    Of the ways to fuse probabilities none was better (benchmarks/views.py), and this is the
    simplest; an image that is sure and wrong is no veto, as it is for a mean of logarithms.

    Args:
        probabilities: [V, A, C] float32 of the images; 0 in a slot without classes.
        products: [V] the product of each, from 0 to N - 1, rising.
        is_readable: [V] bool.
        count: N.

    Example:
        >>> shares = np.array([[[0.5, 0.5]], [[1.0, 0.0]], [[0.2, 0.8]]], dtype=np.float32)
        >>> everything = np.ones(3, dtype=bool)
        >>> fuse_views(shares, np.array([0, 0, 1]), everything, 2).probabilities[:, 0]
        array([[0.75, 0.25],
               [0.2 , 0.8 ]], dtype=float32)
    """
    fused = np.zeros((count, *probabilities.shape[1:]), dtype=np.float32)
    found, starts, counts = np.unique(products[is_readable], return_index=True, return_counts=True)
    if len(found):
        # In double precision: of a single image the mean is then what it was, bit for bit.
        total = np.add.reduceat(probabilities[is_readable].astype(np.float64), starts)
        fused[found] = total / counts[:, None, None]
    is_answered = np.zeros(count, dtype=bool)
    is_answered[found] = True
    return Fused(fused, is_answered)
