"""Test-time averaging: what a model makes of an image and of its mirror image, averaged.

The mean is of the probabilities, not of their logarithms: it stays a distribution, and an answer
of 0 by one of the two is no veto. Whatever gives batches and answers them in order can be
averaged, so no engine knows of it.

Shapes: N images, A slots, C classes of the widest task.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from visual_taxonomy.inference.engines.base import ImageBatch

Answers = Iterator[tuple[ImageBatch, np.ndarray]]


def mirrored(images: np.ndarray) -> np.ndarray:
    """Images [N, 3, H, W] with left and right exchanged.

    Example:
        >>> mirrored(np.array([[[[1, 2, 3]]]]))
        array([[[[3, 2, 1]]]])
    """
    # Copied: engines take the memory as it is, and some cannot read it backwards.
    return np.ascontiguousarray(images[..., ::-1])


def averaged(
    answer: Callable[[Iterable[ImageBatch]], Answers], batches: Iterable[ImageBatch]
) -> Answers:
    """Each batch with the mean of its probabilities and those of its mirror images, in order.

    Args:
        answer: Gives each batch with probabilities [N, A, C], in order, as `Engine.answers`.
        batches: The images.
    """
    # One stream for both, so that an engine with several streams computes them side by side; it
    # answers in order, so the next answer is of the same images.
    pairs = answer(_with_mirrored(batches))
    for batch, probabilities in pairs:
        _, of_mirrored = next(pairs)
        yield batch, (probabilities + of_mirrored) / 2


def _with_mirrored(batches: Iterable[ImageBatch]) -> Iterator[ImageBatch]:
    for batch in batches:
        yield batch
        yield batch._replace(images=mirrored(batch.images))
