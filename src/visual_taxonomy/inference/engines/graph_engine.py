"""What the engines that run the graph of a bundle on the CPU have in common.

Shapes: as in `inference/engines/base.py`.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import numpy as np
from typing_extensions import override

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import Bundle
from visual_taxonomy.inference.engines.base import Engine, ImageBatch
from visual_taxonomy.inference.engines.image_loading import load_images


class GraphEngine(Engine):
    """A graph in the precision of its bundle, fed by threads that load images.

    Several batches are computed at the same time, each on its share of the cores: cores that work
    on batches of their own need not wait for each other at each product.

    Args:
        bundle: With the graph.
        config: Batch size and loading threads.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """

    usual_batch_size: ClassVar[int]
    """The fastest one where none is given: what a core computes of it should fit its cache."""

    streams: int
    """Batches that are computed at the same time."""

    def __init__(self, bundle: Bundle, config: InferenceConfig) -> None:
        check_is_float32_on_cpu(self.name, config)
        self.precision = "int8" if bundle.int8 else "32"
        self.image_size = bundle.preprocessing.image_size
        self.interpolation = bundle.preprocessing.interpolation
        self.batch_size = config.batch_size or self.usual_batch_size
        self.workers = config.workers

    @override
    def batches(
        self, image_of: Callable[[int], ImageSource], categories: np.ndarray
    ) -> Iterator[ImageBatch]:
        size, filter_name = self.image_size, self.interpolation
        return load_images(image_of, categories, size, self.batch_size, self.workers, filter_name)

    @abstractmethod
    def start(self, images: np.ndarray, categories: np.ndarray) -> Callable[[], np.ndarray]:
        """Begin to compute what `probabilities` gives.

        Returns:
            What waits for the probabilities and fetches them.
        """

    @override
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        return self.start(images, categories)()

    @override
    def answers(self, batches: Iterable[ImageBatch]) -> Iterator[tuple[ImageBatch, np.ndarray]]:
        begun: deque[tuple[ImageBatch, Callable[[], np.ndarray]]] = deque()
        try:
            for batch in batches:
                # The batch is kept: a request reads its images without a copy of its own.
                begun.append((batch, self.start(batch.images, batch.categories)))
                # One more than runs at once, so that no stream waits for the reader of the answers.
                if len(begun) > self.streams:
                    yield _fetched(*begun.popleft())
            while begun:
                yield _fetched(*begun.popleft())
        finally:
            # Left running, a request would go on reading the images of its batch.
            for _, fetch in begun:
                fetch()


def _fetched(batch: ImageBatch, fetch: Callable[[], np.ndarray]) -> tuple[ImageBatch, np.ndarray]:
    return batch, fetch()


def check_is_float32_on_cpu(engine: str, config: InferenceConfig) -> None:
    """Refuse what only torch can do.

    Raises:
        InputError: The config asks for a GPU or half precision.
    """
    if config.accelerator not in ("auto", "cpu"):
        raise InputError(
            f"`accelerator={config.accelerator}`: {engine} runs on the CPU here; use "
            "`engine=torch`, with a checkpoint or a bundle that holds weights (`to=bundle`)"
        )
    if config.precision not in ("auto", "32"):
        raise InputError(
            f"`precision={config.precision}`: {engine} computes in the precision of the bundle; "
            "use `engine=torch`, or export with `int8`"
        )
