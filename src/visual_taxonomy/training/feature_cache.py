"""Features of a frozen backbone, computed once and kept in a file.

Shapes: V views of an image, N rows, D features, B rows of a batch, A slots.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.config_values import to_dict
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.image_list import NO_STATE
from visual_taxonomy.data.images import NO_IMAGE
from visual_taxonomy.data.sampler import FILLER, Draw
from visual_taxonomy.data.table import Table
from visual_taxonomy.leftovers import remove_leftovers_in
from visual_taxonomy.model.classifier import Encoder
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.feature_file import add_checksums, open_features

UNREADABLE = "the image could not be read"


class FeatureBatches:
    """Batches whose images are already features; a row that has none holds no label either.

    Args:
        features: [V, N, D] (or [V, N, ...]: what a frozen part of the backbone gives) of every view
            and row; NaN where an image could not be read.
        table: The N rows.
        batches: Draws of each batch; view (epoch + copy) mod V is taken.
        order: Gives the images of a row in an epoch, as for `ImageDataset`; N features are then
            of images. Those of all images are kept, not their mean: every epoch sees one, as
            without a cache.
    """

    def __init__(
        self,
        features: Tensor,
        table: Table,
        batches: Iterable[list[Draw]],
        order: Callable[[int, int], Sequence[int]] | None = None,
    ) -> None:
        self.features = features
        self.categories = torch.from_numpy(table.categories).long()
        self.targets = torch.from_numpy(table.targets).long()
        self.batches = batches
        self.order = order

    def __iter__(self) -> Iterator[Batch]:
        for draws in self.batches:
            rows = torch.tensor([draw.row for draw in draws])
            # Epoch e takes view e modulo K: each epoch sees another augmentation until all have
            # been seen.
            views = torch.tensor([draw.epoch + draw.copy for draw in draws]) % len(self.features)
            # Indexing copies, so the zeros below do not reach the file. A filler, -1, takes the
            # last row here, and is emptied like a damaged one.
            problems: dict[int, str] = {}
            numbers = [self._number(d, int(v), problems) for d, v in zip(draws, views, strict=True)]
            features = self.features[views, torch.tensor(numbers)]
            is_filler = rows == FILLER
            # One value tells: `encode` sets a row as a whole or not at all.
            is_damaged = features.flatten(1)[:, 0].isnan() & ~is_filler
            is_empty = is_filler | is_damaged
            # NaN times the mask of an absent row is NaN: it would reach the statistics of
            # BatchNorm.
            features[is_empty] = 0.0
            yield Batch(
                features,
                self.categories[rows].masked_fill(is_empty, NO_IMAGE),
                self.targets[rows].masked_fill(is_empty[:, None], UNKNOWN),
                rows,
                problems,
            )

    def _number(self, draw: Draw, view: int, problems: dict[int, str]) -> int:
        """The first image of a draw that could be read; those before it are noted."""
        if draw.row == FILLER:
            return FILLER
        number = draw.row
        for number in (draw.row,) if self.order is None else self.order(draw.row, draw.epoch):
            if not self.features[view, number].flatten()[0].isnan():
                break
            problems[number] = UNREADABLE
        return number


def encode(
    encoder: Encoder,
    loader: DataLoader[Batch],
    num_rows: int,
    autocast: Callable[[], AbstractContextManager[object]],
    on_progress: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Features [N, D] in float32 of the rows that a loader gives, NaN where there is no image.

    Args:
        encoder: In evaluation mode, on its device.
        loader: Batches of images.
        num_rows: N.
        autocast: The precision.
        on_progress: Called with the number of rows done.
    """
    device = next(encoder.parameters()).device
    # NaN marks a row without an image; no backbone that works gives it.
    features = torch.full((num_rows, encoder.backbone.width), torch.nan)
    done = 0
    for batch in loader:
        with torch.inference_mode(), autocast():
            found = encoder(batch.images.to(device, non_blocking=True)).float().cpu()
        has_image = batch.categories != NO_IMAGE
        features[batch.rows[has_image]] = found[has_image]
        done += len(batch.rows)
        on_progress(done)
    return features


def cached_features(
    folder: Path, key: str, num_views: int, compute: Callable[[int], Tensor]
) -> Tensor:
    """Features [V, N, D] from `<folder>/<key>.npy`, computed and written first if need be.

    Args:
        folder: Of the cache; made if it is not there.
        key: Of the request; see `request_key`.
        num_views: V.
        compute: From the number of a view to its features [N, D].

    Raises:
        InputError: The disk is full, or the file is damaged.
    """
    # The next writer may have another key, and would never meet what a killed one left.
    remove_leftovers_in(folder)
    path = folder / f"{key}.npy"
    if not path.exists():
        # Before the file is made: only the features say what shape a row has.
        first = compute(0)
        with write_atomically(path) as temporary:
            shape = (num_views, *first.shape)
            # View by view onto the disk: K views of a large catalogue do not fit into memory.
            kept = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            kept[0] = first
            for view in range(1, num_views):
                kept[view] = compute(view)
            # The checksums are of what the file holds. They are added before the rename, so that no
            # file of this name is without.
            kept.flush()
            add_checksums(temporary)
    return open_features(path)


def request_key(encoder: Encoder, config: ModelConfig, table: Table, augmentation: str) -> str:
    """A name that changes with whatever changes features.

    That is: backbone, its weights, preprocessing, augmentation, and path, size and time of last
    change of every image.

    Args:
        encoder: With its weights loaded.
        config: Of the model.
        table: The rows.
        augmentation: What else there is to tell views apart: count, seed, precision.
    """
    digest = hashlib.sha256()
    plain = {k: v for k, v in to_dict(config).items() if k in _BACKBONE}
    digest.update(json.dumps([plain, augmentation], sort_keys=True).encode())
    # Buffers too: the statistics of BatchNorm change features as weights do.
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        # As bytes, because NumPy has no bfloat16; flat, because a scalar cannot be viewed as bytes.
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    images = table.images
    for number in range(len(images)):
        place, state = images.place(number), images.state(number)
        # Part of the key, too: when the image is there, its features have to be computed.
        seen = "missing" if state == NO_STATE else f"{state[0]}\0{state[1]}"
        digest.update(f"{place}\0{seen}\n".encode())
    # 128 bits: no two requests share them, and the name stays readable.
    return digest.hexdigest()[:32]


_BACKBONE = ("backbone", "backbone_parameters", "image_size", "normalization", "interpolation")
