"""The interface of the engines.

Shapes: N images of a batch, A slots, C classes of the widest task, H and W in pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, NamedTuple

import numpy as np

from visual_taxonomy.data.images import ImageSource


class ImageBatch(NamedTuple):
    """N images, decoded and resized."""

    rows: np.ndarray
    """[N] int64 numbers of the rows."""
    images: np.ndarray
    """[N, 3, H, W] uint8; grey where there is no image."""
    categories: np.ndarray
    """[N] int64 category indices, -1 where there is no image."""
    problems: dict[int, str]
    """Row -> why its image could not be read."""


class Engine(ABC):
    """A model that is ready to run.

    Constructed as `Engine(bundle, config)`, of a bundle that holds a file for it; an engine whose
    entry says `runs_checkpoints` takes a checkpoint too.
    """

    name: ClassVar[str]
    """Its name in `ENGINES`."""

    precision: str
    """What its matrix products are computed in."""

    precision_note: str = ""
    """Why that precision, in one line, where the engine chose it itself."""

    image_size: tuple[int, int]
    """H and W."""

    batch_size: int
    """Images a step."""

    @abstractmethod
    def batches(
        self, image_of: Callable[[int], ImageSource], categories: np.ndarray
    ) -> Iterator[ImageBatch]:
        """Load the images of rows 0 ... len(categories) - 1, in order, ahead of their use.

        Args:
            image_of: Gives the image of a row.
            categories: Indices of the rows' categories.
        """

    @abstractmethod
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """Probabilities [N, A, C] float32 of the classes; 0 where there is no slot or class.

        Args:
            images: [N, 3, H, W] uint8.
            categories: [N] int64; -1 for an image that could not be read, whose answer is ignored.
        """

    def answers(self, batches: Iterable[ImageBatch]) -> Iterator[tuple[ImageBatch, np.ndarray]]:
        """Each batch with its probabilities, in order."""
        for batch in batches:
            yield batch, self.probabilities(batch.images, batch.categories)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis; all 0 where every logit is -inf.

    Example:
        >>> softmax(np.array([[0.0, 0.0, -np.inf], [-np.inf, -np.inf, -np.inf]]))
        array([[0.5, 0.5, 0. ],
               [0. , 0. , 0. ]])
    """
    # The highest is taken off first, or exp overflows in float32 above 88; where all are -inf there
    # is nothing to take off, and -inf - -inf would be NaN.
    highest = logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(logits - np.where(np.isfinite(highest), highest, 0))
    total: np.ndarray = exponentials.sum(axis=-1, keepdims=True)
    return exponentials / np.where(total > 0, total, 1)
