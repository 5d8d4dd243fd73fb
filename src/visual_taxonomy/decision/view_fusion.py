"""One answer for a product of several images, from what a model makes of each.

Shapes: V images, N products, A slots, C classes of the widest task.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

ViewFusion = Literal["log_mean", "mean", "best", "weighted"]

WAYS: tuple[ViewFusion, ...] = get_args(ViewFusion)

# Below any probability that decides; log(0) would make one image a veto.
_LEAST = 1e-7


def fuse_views(
    probabilities: np.ndarray, products: np.ndarray, how: ViewFusion = "weighted"
) -> np.ndarray:
    """[N, A, C] float32 of products, from those of their images [V, A, C].

    Args:
        probabilities: Of the images; 0 in a slot without classes.
        products: [V] the product of each, from 0 without gaps, rising.
        how: "log_mean": mean of log-probabilities; "mean": of probabilities; "best": for each
            slot the image of the least entropy; "weighted": mean of log-probabilities, each image
            weighted by what it knows, log C - entropy.
    """
    starts = np.flatnonzero(np.diff(products, prepend=-1))
    shares = probabilities.astype(np.float64)
    logs = np.log(np.maximum(shares, _LEAST))
    has_class = shares > 0
    entropy = -(shares * logs).sum(axis=2, keepdims=True)
    sizes = np.maximum(has_class.sum(axis=2, keepdims=True), 1)
    if how == "mean":
        total = np.add.reduceat(shares, starts)
    elif how == "log_mean":
        counts = np.diff(np.append(starts, len(products)))[:, None, None]
        total = np.exp(np.add.reduceat(logs, starts) / counts)
    else:
        known = np.maximum(np.log(sizes) - entropy, 0) + 1e-9
        if how == "best":
            top = np.maximum.reduceat(known, starts)[products]
            known = np.where(known >= top, 1.0, 0.0)
        total = np.exp(np.add.reduceat(logs * known, starts) / np.add.reduceat(known, starts))
    total = np.where(np.maximum.reduceat(has_class, starts), total, 0)
    whole = total.sum(axis=2, keepdims=True)
    return (total / np.where(whole > 0, whole, 1)).astype(np.float32)


class Fused(NamedTuple):
    """The answers of N products."""

    probabilities: np.ndarray
    """[N, A, C] float32; 0 where no image could be read."""
    is_answered: np.ndarray
    """[N] bool."""


def fuse_readable(
    probabilities: np.ndarray, products: np.ndarray, is_readable: np.ndarray, count: int
) -> Fused:
    """`fuse_views` of those images that could be read.

    Args:
        probabilities: [V, A, C] of all images.
        products: [V] the product of each, rising.
        is_readable: [V] bool.
        count: N.
    """
    fused = np.zeros((count, *probabilities.shape[1:]), dtype=np.float32)
    found, places = np.unique(products[is_readable], return_inverse=True)
    if len(found):
        fused[found] = fuse_views(probabilities[is_readable], places)
    is_answered = np.zeros(count, dtype=bool)
    is_answered[found] = True
    return Fused(fused, is_answered)
