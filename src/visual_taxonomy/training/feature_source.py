"""Batches of features that a frozen backbone has computed once, in place of images.

Shapes: V views of an image, N rows, D features.
"""

from functools import partial

import torch
from torch import Tensor, nn

from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.data.dataset import ImageDataset, make_loader
from visual_taxonomy.data.sampler import Draw
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.views import ViewOrder
from visual_taxonomy.model.classifier import Classifier
from visual_taxonomy.progress import Reporter
from visual_taxonomy.training.batch_source import (
    BatchSource,
    image_source,
    images_of,
    make_sampler,
    validation_draws,
)
from visual_taxonomy.training.feature_cache import (
    FeatureBatches,
    cached_features,
    encode,
    request_key,
)
from visual_taxonomy.training.model import autocast
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables


def source_of(
    config: TrainConfig, tables: Tables, model: Classifier, parallel: Parallel, reporter: Reporter
) -> BatchSource:
    """The source that the config asks for.

    Raises:
        InputError: A cache cannot be used, or the disk is full.
    """
    make = image_source if config.data.feature_cache is None else feature_source
    return make(config, tables, model, parallel, reporter)


def feature_source(
    config: TrainConfig, tables: Tables, model: Classifier, parallel: Parallel, reporter: Reporter
) -> BatchSource:
    """Batches of features; those that the cache does not hold are computed now.

    Raises:
        InputError: The disk is full, or a file of the cache is damaged.
    """
    views = config.data.feature_views
    sampler = make_sampler(config, tables, parallel)
    # The features are for all epochs: no dropout and no statistics of a batch may be in them.
    model.eval()
    found = []
    of_images = tables.validation.by_image()
    parts = ((tables.training.by_image(), views), (of_images, 0))
    for table, num_views in parts[: 1 if config.data.final else 2]:
        given = model.encoder.backbone.preprocessing
        images = images_of(config, table, given, parallel, reporter, is_augmented=num_views > 0)
        found.append(table_features(config, table, images, num_views, model, parallel, reporter))
    starts = tables.training.starts
    order = None if starts is None else ViewOrder(starts, config.data.random_state)
    training = FeatureBatches(found[0], tables.training, sampler, order)
    if config.data.final:
        # The features stand in the batches, so nothing is left to encode.
        return BatchSource(sampler, training, (), nn.Identity())
    draws = validation_draws(config, tables, parallel)
    validation = FeatureBatches(found[1], of_images, draws)
    return BatchSource(sampler, training, validation, nn.Identity())


def named_augmentation(data: DataConfig) -> str:
    """What tells the augmented views of one run from those of another, for the name of a cache.

    Example:
        >>> from pathlib import Path
        >>> named_augmentation(DataConfig(Path("images"), Path("train.csv"), randaugment=(2, 9)))
        ', randaugment 2 9'
    """
    # Not named where it is the standard: files from before there were others keep their keys.
    named = "" if data.augmentation == "standard" else f", {data.augmentation}"
    if data.randaugment is not None:
        named += ", randaugment {} {}".format(*data.randaugment)
    return named + (f", random erasing {data.random_erasing}" if data.random_erasing else "")


def table_features(
    config: TrainConfig,
    table: Table,
    images: ImageDataset,
    views: int,
    model: Classifier,
    parallel: Parallel,
    reporter: Reporter,
) -> Tensor:
    """Features [V, N, D] of a table, from the cache if the config has one.

    Args:
        config: The run.
        table: The N rows.
        images: Their images.
        views: V; 0 gives one view, the image as it is.
        model: In evaluation mode.
        parallel: The processes.
        reporter: Shows progress.

    Raises:
        InputError: The disk is full, or a file of the cache is damaged.
    """
    folder, precision = config.data.feature_cache, config.run.precision
    seen = f"views {views}, seed {images.seed if views else 0}, {precision}"
    seen += named_augmentation(config.data) if views else ""

    def compute(view: int) -> Tensor:
        size, rows = config.optimizer.batch_size, range(len(table))
        draws = [[Draw(r, view) for r in rows[i : i + size]] for i in rows[::size]]
        on_gpu = parallel.device.type == "cuda"
        loader = make_loader(images, draws, config.data.train_workers, on_gpu)
        with reporter.progress(f"encoding {len(table)} images", len(table)) as advance:
            block = partial(autocast, parallel.device, precision)
            return encode(model.encoder, loader, len(table), block, advance)

    if folder is None:
        return torch.stack([compute(view) for view in range(max(1, views))])
    # The first process computes and writes; the others then find the file and map it.
    with parallel.first_goes_first():
        key = request_key(model.encoder, config.model, table, seen)
        return cached_features(folder, key, max(1, views), compute)
