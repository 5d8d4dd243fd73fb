"""Answers of products from the batches of their images, in order.

Shapes: N products of a batch, V images, A slots, C classes of the widest task.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from visual_taxonomy.data.images import NO_IMAGE
from visual_taxonomy.decision.view_fusion import fuse_views
from visual_taxonomy.inference.engines.base import ImageBatch


class ProductBatch(NamedTuple):
    """N products, each whole."""

    rows: np.ndarray
    """[N] numbers of the products."""
    categories: np.ndarray
    """[N] category indices, -1 where no image could be read."""
    problems: dict[int, str]
    """Row -> why it has no answer: the reason of its first image."""
    skipped: dict[int, dict[int, str]]
    """Row that has an answer -> number of an image that could not be read -> why."""


def by_product(
    answers: Iterable[tuple[ImageBatch, np.ndarray]], products: np.ndarray, categories: np.ndarray
) -> Iterator[tuple[ProductBatch, np.ndarray]]:
    """Batches of products with fused probabilities [N, A, C], from batches of images.

    A product whose images lie in two batches waits for the second.

    Args:
        answers: Batches of images in order, with probabilities [n, A, C].
        products: [V] the product of each image, rising.
        categories: Of all products.
    """
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    problems: dict[int, str] = {}
    done = 0
    for batch, probabilities in answers:
        kept.append((batch.rows, batch.categories != NO_IMAGE, probabilities))
        problems |= batch.problems
        last = int(batch.rows[-1])
        # The last product is whole if no further image is of it.
        is_whole = last + 1 == len(products) or products[last + 1] != products[last]
        end = int(products[last]) + int(is_whole)
        if end > done:
            parts = [np.concatenate(each) for each in zip(*kept, strict=True)]
            numbers, is_readable, shares = parts
            of_done = products[numbers] < end
            rows = np.arange(done, end)
            fused = fuse_views(
                shares[of_done], products[numbers[of_done]] - done, is_readable[of_done], len(rows)
            )
            found = np.where(fused.is_answered, categories[rows], NO_IMAGE)
            answered, silent = _by_row(problems, products, end, fused.is_answered, done)
            yield ProductBatch(rows, found, silent, answered), fused.probabilities
            kept = [(numbers[~of_done], is_readable[~of_done], shares[~of_done])]
            problems = {k: why for k, why in problems.items() if products[k] >= end}
            done = end


def _by_row(
    problems: dict[int, str], products: np.ndarray, end: int, is_answered: np.ndarray, first: int
) -> tuple[dict[int, dict[int, str]], dict[int, str]]:
    """The images that were left out of an answer, and the reasons of products without one."""
    skipped: dict[int, dict[int, str]] = {}
    silent: dict[int, str] = {}
    for number, reason in sorted(problems.items()):
        row = int(products[number])
        if row < end and is_answered[row - first]:
            skipped.setdefault(row, {})[number] = reason
        elif row < end:
            silent.setdefault(row, reason)
    return skipped, silent
