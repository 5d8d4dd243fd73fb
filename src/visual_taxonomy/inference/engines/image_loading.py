"""Load images for an engine in threads, without torch.

Decoders and Pillow's resizing release the interpreter's lock, so threads share the cores, and no
image travels between processes. Shapes: N images of a batch, H and W in pixels.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from PIL import Image

from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.images import (
    DECODE_MARGIN,
    NO_IMAGE,
    ImageSource,
    UnreadableImage,
    decode_image,
)
from visual_taxonomy.inference.engines.base import ImageBatch

_GREY = 128  # of an image that could not be read: near every normalisation's mean, so never extreme
# Two even out slow images; each more takes the memory of a batch.
_BATCHES_AHEAD = 2


def load_images(
    image_of: Callable[[int], ImageSource],
    categories: np.ndarray,
    image_size: tuple[int, int],
    batch_size: int,
    workers: int,
    interpolation: str = "bicubic",
) -> Iterator[ImageBatch]:
    """The images of rows 0 ... len(categories) - 1, in order, a few batches ahead of their use.

    Args:
        image_of: Gives the image of a row; called in the threads.
        categories: Indices of the rows' categories.
        image_size: H and W.
        batch_size: Images of a batch.
        workers: Threads, no more than there are cores; 0 loads where it is called.
        interpolation: Filter of the resizing, a name of `preprocessing.INTERPOLATIONS`.
    """
    load = partial(_load, image_of, interpolation)
    starts = range(0, len(categories), batch_size)
    groups = [np.arange(start, min(start + batch_size, len(categories))) for start in starts]
    # For a single image a pool costs more than it gains.
    if workers == 0:
        for rows in groups:
            images = np.empty((len(rows), 3, *image_size), np.uint8)
            reasons = [load(int(row), images[i]) for i, row in enumerate(rows)]
            yield _batch(rows, images, categories, reasons)
        return
    pool = ThreadPoolExecutor(min(workers, available_cores()), "images")
    ahead: deque[tuple[np.ndarray, np.ndarray, list[Future[str | None]]]] = deque()
    try:
        for rows in groups:
            images = np.empty((len(rows), 3, *image_size), np.uint8)
            # Each thread fills its own part of the batch: nothing is copied together afterwards.
            tasks = [pool.submit(load, int(r), images[i]) for i, r in enumerate(rows)]
            ahead.append((rows, images, tasks))
            if len(ahead) > _BATCHES_AHEAD:
                yield _finished(*ahead.popleft(), categories)
        while ahead:
            yield _finished(*ahead.popleft(), categories)
    finally:
        # The reader may stop early (Ctrl-C, a closed stream): nothing is decoded for nobody.
        pool.shutdown(cancel_futures=True)


def resized(
    pixels: np.ndarray, image_size: tuple[int, int], interpolation: str = "bicubic"
) -> np.ndarray:
    """Pixels [H', W', 3] resized to [H, W, 3] as `evaluation_transform` does.

    By Pillow, not by torch, whose uint8 kernel was made after Pillow's: where images shrink the
    two differ by a grey level here and there.

    Example:
        >>> resized(np.full((9, 9, 3), 7, np.uint8), (4, 2)).shape
        (4, 2, 3)
    """
    height, width = image_size
    resampling = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize((width, height), resampling))


def _load(
    image_of: Callable[[int], ImageSource], interpolation: str, row: int, image: np.ndarray
) -> str | None:
    """Fill `image` [3, H, W] with the image of a row, or say why not."""
    height, width = image.shape[1:]
    least = (DECODE_MARGIN * height, DECODE_MARGIN * width)
    try:
        pixels = decode_image(image_of(row), least_size=least)
    except UnreadableImage as reason:
        image[:] = _GREY
        return str(reason)
    image[:] = resized(pixels, (height, width), interpolation).transpose(2, 0, 1)
    return None


def _finished(
    rows: np.ndarray,
    images: np.ndarray,
    tasks: list[Future[str | None]],
    categories: np.ndarray,
) -> ImageBatch:
    return _batch(rows, images, categories, [task.result() for task in tasks])


def _batch(
    rows: np.ndarray, images: np.ndarray, categories: np.ndarray, reasons: list[str | None]
) -> ImageBatch:
    problems = {
        int(row): reason for row, reason in zip(rows, reasons, strict=True) if reason is not None
    }
    readable = np.array([reason is None for reason in reasons])
    return ImageBatch(rows, images, np.where(readable, categories[rows], NO_IMAGE), problems)
