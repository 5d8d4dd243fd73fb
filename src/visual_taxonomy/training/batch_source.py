"""Where the batches of a run come from: image files, or a cache of decoded images.

A source is chosen when the trainer is built (`feature_source.py` has the other one: features of a
frozen backbone). Whatever gives batches and says how they become features is one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import nn

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.balanced_sampler import BalancedSampler, repeat_factors
from visual_taxonomy.data.cached_images import CachedImages
from visual_taxonomy.data.dataset import Batch, ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.image_cache import IN_MEMORY, cached_size, open_cache
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.sampler import BatchSampler, Draw
from visual_taxonomy.data.strong_augmentation import strengthened
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import AUGMENTATIONS, evaluation_transform
from visual_taxonomy.data.views import ViewOrder
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.classifier import Classifier
from visual_taxonomy.preprocessing import Preprocessing
from visual_taxonomy.progress import Reporter
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables


class BatchSource:
    """The batches of a run, from its position on, and how they become features.

    Args:
        sampler: Says which rows make which batch.
        training: Gives the batches that the sampler asks for, from its position to the end of the
            epoch, each time it is iterated.
        validation: Gives the validation rows in order.
        encoder: From `batch.images` to features [N, D].
    """

    def __init__(
        self,
        sampler: BatchSampler,
        training: Iterable[Batch],
        validation: Iterable[Batch],
        encoder: nn.Module,
    ) -> None:
        self.sampler = sampler
        self.training = training
        self.validation = validation
        self.encoder = encoder
        self.epoch = 0
        """The epoch that is running, from 0."""
        self.step = 0
        """Steps of that epoch that are done."""

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return len(self.sampler)

    @property
    def step_of_run(self) -> int:
        """Steps of the run that are done."""
        return self.epoch * len(self) + self.step

    @property
    def is_epoch_over(self) -> bool:
        """Whether no step of the epoch is left."""
        return self.step == len(self)

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches that are left; call `advance` when one is done."""
        # The loader iterates its sampler in this process, so its workers need no position.
        self.sampler.set_position(self.epoch, self.step)
        yield from self.training

    def advance(self) -> None:
        """Say that a step is done."""
        # Counted by whoever has trained on the batch, not as batches come: workers read ahead.
        self.step += 1

    def start_next_epoch(self) -> None:
        """Move on to the first step of the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """The position: with it alone the next batch is known."""
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a position."""
        self.epoch, self.step = state["epoch"], state["step"]


MakeSource = Callable[[TrainConfig, Tables, Classifier, Parallel, Reporter], BatchSource]
"""Chooses the source of a run: config, rows, model on its device, processes, reporter."""


def image_source(
    config: TrainConfig, tables: Tables, model: Classifier, parallel: Parallel, reporter: Reporter
) -> BatchSource:
    """Batches of images, decoded by worker processes.

    Raises:
        InputError: The image cache cannot be used.
    """
    data, on_gpu = config.data, parallel.device.type == "cuda"
    sampler = make_sampler(config, tables, parallel)
    given = model.encoder.backbone.preprocessing
    training = images_of(config, tables.training, given, parallel, reporter, is_augmented=True)
    batches = make_loader(training, sampler, data.train_workers, on_gpu)
    # A model of all rows is validated on none: there is nothing to decode or to cache.
    if data.final:
        return BatchSource(sampler, batches, (), model.encoder)
    of_images = tables.validation.by_image()
    validation = images_of(config, of_images, given, parallel, reporter)
    draws = validation_draws(config, tables, parallel)
    loader = make_loader(validation, draws, data.val_workers, on_gpu)
    return BatchSource(sampler, batches, loader, model.encoder)


def make_sampler(config: TrainConfig, tables: Tables, parallel: Parallel) -> BatchSampler:
    """Which training rows make which batch, on this process."""
    rows, size, data = tables.training, config.optimizer.batch_size, config.data
    place = (data.random_state, parallel.rank, parallel.world_size)
    if data.batch_sampling == "balanced":
        weights = repeat_factors(rows.taxonomy, rows.categories, rows.targets)
        return BalancedSampler(weights, size, *place)
    return BatchSampler(rows.categories, size, data.batch_sampling, *place)


def validation_draws(config: TrainConfig, tables: Tables, parallel: Parallel) -> list[list[Draw]]:
    """The images of the validation rows in order, in batches, this process's share of each."""
    num_rows = len(tables.validation.images)
    return batches_in_order(
        num_rows, config.optimizer.batch_size, parallel.rank, parallel.world_size
    )


def images_of(
    config: TrainConfig,
    table: Table,
    preprocessing: Preprocessing,
    parallel: Parallel,
    reporter: Reporter,
    is_augmented: bool = False,
) -> ImageDataset:
    """The images of a table, resized, and augmented if asked."""
    data, size = config.data, preprocessing.image_size
    make = AUGMENTATIONS[data.augmentation] if is_augmented else evaluation_transform
    transform = make(size, preprocessing.interpolation)
    if is_augmented:
        transform = strengthened(transform, data.randaugment, data.random_erasing)
    return ImageDataset(
        _read(config, table, size, parallel, reporter),
        table.categories,
        table.targets,
        transform,
        size,
        # None: validation draws nothing, and need not save and restore the generator for each row.
        data.random_state if is_augmented else None,
        None if table.starts is None else ViewOrder(table.starts, data.random_state),
    )


def _read(
    config: TrainConfig,
    table: Table,
    image_size: tuple[int, int],
    parallel: Parallel,
    reporter: Reporter,
) -> Callable[[int], ImageSource | np.ndarray]:
    """What gives the image of a row: its file, or the cache that the first process builds."""
    place = config.data.image_cache
    if place is None:
        return table.images.image
    # The memory of this machine is no file that another one could map.
    if place == IN_MEMORY and parallel.num_machines > 1:
        raise InputError("`image_cache=ram` is for one machine; name a folder that all of them see")
    images: CachedImages | None = None
    # One process decodes; the others map the same file.
    if parallel.is_first:
        workers = min(config.data.train_workers, available_cores())
        with reporter.progress("decoding images for the cache") as advance:
            images = open_cache(place, table.images, cached_size(image_size), workers, advance)
    # Pickled without its mapping: each process maps the file itself, and they share its pages.
    found = parallel.broadcast(images)
    assert found is not None  # the first process has it
    return found
