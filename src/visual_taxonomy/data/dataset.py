"""Rows of a table as batches of images and labels.

Shapes: N images of a batch, A slots, H and W in pixels.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.images import (
    DECODE_MARGIN,
    NO_IMAGE,
    ImageSource,
    UnreadableImage,
    decode_image,
)
from visual_taxonomy.data.sampler import FILLER, BatchSampler, Draw
from visual_taxonomy.data.transforms import Transform
from visual_taxonomy.data.transport import ThroughPipe, fits_shared_memory
from visual_taxonomy.taxonomy import UNKNOWN

# Batches that each loading process reads ahead.
_AHEAD = 4


class Batch(NamedTuple):
    """N images with their labels; rows without an image have category -1 and no label."""

    images: Tensor
    """[N, 3, H, W] uint8, channels last in memory."""
    categories: Tensor
    """[N] category indices, -1 where there is no image."""
    targets: Tensor
    """[N, A] class indices, -1 where unknown."""
    rows: Tensor
    """[N] rows of the table, -1 for a filler."""
    problems: dict[int, str]
    """Number of an image (its row, where each row has one) -> why it could not be read."""


class ImageDataset(Dataset[Batch]):
    """Reads the image of a row and transforms it; what it returns is a batch of one.

    Random transforms draw from a generator seeded by (seed, epoch, row), and by the copy where a
    row comes again in an epoch: the same image is augmented alike whichever process loads it, and a
    resumed run sees what the first one would have seen.

    Args:
        image_of: Gives the image of a number: a path, encoded bytes, a decoded image, or its
            pixels [H, W, 3] uint8; raises UnreadableImage if there is none.
        categories: [N] category indices of the rows.
        targets: [N, A] class indices of the rows, -1 where unknown.
        transform: From the uint8 tensor [3, H, W] of an image to one of the image size.
        image_size: H and W, for the blank that stands for an unreadable image.
        seed: Of the random transforms; None if the transform draws nothing, which saves time.
        views: Gives the images of a row in an epoch, the first that can be read is taken; None:
            each row has one, of its own number.
    """

    def __init__(
        self,
        image_of: Callable[[int], ImageSource | np.ndarray],
        categories: np.ndarray,
        targets: np.ndarray,
        transform: Transform,
        image_size: tuple[int, int],
        seed: int | None = None,
        views: Callable[[int, int], Sequence[int]] | None = None,
    ) -> None:
        self.image_of = image_of
        self.categories = categories
        self.targets = targets
        self.transform = transform
        self.image_size = image_size
        self.seed = seed
        self.views = views

    def __len__(self) -> int:
        return len(self.categories)

    def __getitem__(self, draw: Draw) -> Batch:
        if draw.row == FILLER:
            return self._without_image(FILLER, {})
        problems: dict[int, str] = {}
        for number in (draw.row,) if self.views is None else self.views(draw.row, draw.epoch):
            try:
                pixels = self._pixels(number)
            except UnreadableImage as reason:
                problems[number] = str(reason)
                continue
            return Batch(
                _channels_last(self._transformed(pixels, draw)),
                torch.tensor([self.categories[draw.row]]),
                torch.from_numpy(self.targets[draw.row][None]),
                torch.tensor([draw.row]),
                problems,
            )
        return self._without_image(draw.row, problems)

    def _pixels(self, number: int) -> np.ndarray:
        source = self.image_of(number)
        if isinstance(source, np.ndarray):
            return source
        height, width = self.image_size
        return decode_image(source, least_size=(DECODE_MARGIN * height, DECODE_MARGIN * width))

    def _transformed(self, pixels: np.ndarray, draw: Draw) -> Tensor:
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        if self.seed is None:
            return self.transform(image)
        # Only copies have a fourth number, so that all other draws stay what they were.
        copy = (draw.copy,) if draw.copy else ()
        entropy = np.random.SeedSequence((self.seed, draw.epoch, draw.row, *copy))
        # Not torch.manual_seed, which would seed the GPU too: dropout draws from there.
        generator = torch.default_generator
        state = generator.get_state()
        generator.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
        try:
            return self.transform(image)
        finally:
            # Without loading processes this is the generator that dropout on the CPU draws from.
            generator.set_state(state)

    def _without_image(self, row: int, problems: dict[int, str]) -> Batch:
        slots = self.targets.shape[1]
        return Batch(
            _channels_last(torch.full((3, *self.image_size), 128, dtype=torch.uint8)),
            torch.tensor([NO_IMAGE]),
            torch.full((1, slots), UNKNOWN),
            torch.tensor([row]),
            problems,
        )


def _channels_last(image: Tensor) -> Tensor:
    """[1, 3, H, W] of [3, H, W], laid out as decoders do: joined without turning each pixel."""
    # Not memory_format=channels_last: for a batch of one, torch takes most layouts for it.
    return image.permute(1, 2, 0).contiguous()[None].permute(0, 3, 1, 2)


def collate(parts: Sequence[Batch]) -> Batch:
    """Join batches into one."""
    problems: dict[int, str] = {}
    for part in parts:
        problems |= part.problems
    images, categories, targets, rows, _ = zip(*parts, strict=True)
    return Batch(
        torch.cat(images), torch.cat(categories), torch.cat(targets), torch.cat(rows), problems
    )


def batches_in_order(
    num_rows: int, batch_size: int, rank: int = 0, world_size: int = 1
) -> list[list[Draw]]:
    """Every row once, in order, cut into batches; each process gets every world_size-th row.

    The shares of a batch have equal lengths: fillers stand where rows run out.

    Example:
        >>> [[draw.row for draw in batch] for batch in batches_in_order(3, 2, rank=1, world_size=2)]
        [[1], [-1]]
    """
    batches = []
    for start in range(0, num_rows, batch_size):
        rows = list(range(start, min(start + batch_size, num_rows)))
        rows += [FILLER] * (-len(rows) % world_size)
        batches.append([Draw(row, 0) for row in rows[rank::world_size]])
    return batches


def make_loader(
    dataset: ImageDataset,
    batches: BatchSampler | Sequence[list[Draw]],
    workers: int,
    pin_memory: bool = False,
) -> DataLoader[Batch]:
    """A loader of the given batches in `workers` processes, no more than there are cores.

    The processes stay between epochs and read a few batches ahead.

    Warns:
        UserWarning: The shared memory is too small for the batches, so they take a slower way.
    """
    workers = min(workers, available_cores())
    # Those that wait to be used, the one in use, and the one that is copied to the GPU.
    on_their_way = workers * _AHEAD + 1 + pin_memory
    join: Callable[[Sequence[Batch]], Any] = collate
    if workers and not fits_shared_memory(on_their_way * _batch_bytes(dataset, batches)):
        join = ThroughPipe(collate)
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=join,
        num_workers=workers,
        # Torch refuses this and the next setting where there are no processes.
        persistent_workers=workers > 0,
        prefetch_factor=_AHEAD if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_leave_interrupts_to_the_parent,
        # Its own generator: without one, each epoch would draw from the generator of dropout.
        generator=torch.Generator(),
    )


def _batch_bytes(dataset: ImageDataset, batches: BatchSampler | Sequence[list[Draw]]) -> int:
    """Of the largest batch."""
    if isinstance(batches, BatchSampler):
        rows = batches.rows_per_batch
    else:
        rows = max(map(len, batches), default=0)
    height, width = dataset.image_size
    # Pixels are single bytes; category, row and targets are int64.
    return rows * (3 * height * width + 8 * (2 + dataset.targets.shape[1]))


def _leave_interrupts_to_the_parent(worker: int) -> None:
    del worker
    # Ctrl-C goes to all processes of a terminal; loaders that die of it look as if they had been
    # killed for want of memory.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
