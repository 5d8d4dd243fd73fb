"""Seconds that comparing checksums adds to what is read: checkpoint, cached images, features.

Seconds are those of the processor: the best of interleaved rounds, files in the system's memory.
The baseline is the same reading without the comparison.

    export OMP_NUM_THREADS=1
    python benchmarks/checksums.py                      # 350 MB, 256 images of 256 x 341
    python benchmarks/checksums.py --megabytes 1200
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from visual_taxonomy.checkpoint import Checkpoint, check_finite, read_checkpoint, write_checkpoint
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.data.image_cache import cache_in_folder, cached_size
from visual_taxonomy.data.transforms import training_transform
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.feature_file import add_checksums, open_features

ROUNDS = 15
Action = Callable[[], object]


def nothing() -> None:
    """The baseline of what was not done before."""


def compare(name: str, plain: Action, compared: Action, before: Action = nothing) -> None:
    """Print a row of the table; `before` each `compared` is not counted."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for number, action in enumerate((plain, compared)):
            if number:
                before()
            started = time.process_time()
            action()
            best[number] = min(best[number], time.process_time() - started)
    print(f"| {name} | {best[0]:.4f} | {best[1]:.4f} | {best[1] - best[0]:+.4f} |")


def checkpoint(folder: Path, megabytes: int) -> None:
    """`torch.load` against `read_checkpoint`, and the look for NaN."""
    path = folder / "best.pt"
    weights = {str(each): torch.randn(1024, 1024) for each in range(megabytes // 4)}
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
    write_checkpoint(path, Checkpoint(taxonomy, ModelConfig(), weights))
    compare(
        f"checkpoint of {megabytes} MB",
        lambda: torch.load(path, map_location="cpu", weights_only=True),
        lambda: read_checkpoint(path),
    )
    compare(f"NaN in {megabytes} MB of weights", nothing, lambda: check_finite(path, weights))


def features(folder: Path, megabytes: int) -> None:
    """The sum of mapped features against opening them first."""
    path = folder / "features.npy"
    np.save(path, np.ones((1, megabytes * 256, 1024), np.float32))
    add_checksums(path)
    compare(
        f"features of {megabytes} MB, summed",
        lambda: torch.from_numpy(np.load(path, mmap_mode="c")).sum(),
        lambda: open_features(path).sum(),
    )


def images(folder: Path, count: int) -> None:
    """Reading and augmenting images: those that are checked already against new ones."""
    random = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        pixels = random.integers(0, 256, (256, 341, 3), np.uint8)
        Image.fromarray(pixels).save(path, compress_level=0)
    cached = cache_in_folder(folder / "cache", paths, cached_size((224, 224)))
    augment = training_transform((224, 224))

    def forget() -> None:
        cached._is_checked[:] = False

    def train() -> None:
        for row in range(count):
            augment(torch.from_numpy(cached(row)).permute(2, 0, 1))

    compare(f"{count} cached images, augmented", train, train, forget)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=350)
    parser.add_argument("--images", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| what is read | s without | s compared | adds |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        checkpoint(Path(name), options.megabytes)
        features(Path(name), options.megabytes)
        images(Path(name), options.images)


if __name__ == "__main__":
    main()
