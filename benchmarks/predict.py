"""Images per second of `vtax predict` against a naive loop, from files to answers.

The naive loop does what the original system did: one picture at a time, float32, decoded, resized
and encoded in the same process. Model, pictures and machine are the same. Prints the ratio, the
memory, and the rate of the machine's matrix products, which bounds both.

    python benchmarks/predict.py --img_dir ../shared/data/apparel/images --images 384
    python benchmarks/predict.py                       # pictures it draws itself
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from visual_taxonomy.checkpoint import Checkpoint
from visual_taxonomy.config import InferenceConfig, ModelConfig
from visual_taxonomy.data.synthetic import synthesize, synthetic_taxonomy
from visual_taxonomy.data.table import Table
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.prediction import Predictor
from visual_taxonomy.prediction_file import write_predictions

GFLOP_AN_IMAGE = {"ViT-B-32": 8.7, "ViT-L-14": 162.0}


def naive(checkpoint: Checkpoint, paths: list[Path], categories: np.ndarray) -> float:
    """Seconds of the original's loop."""
    model = checkpoint.classifier()
    height, width = model.encoder.backbone.preprocessing.image_size
    transform = v2.Compose(
        [
            v2.Resize((height, width), interpolation=v2.InterpolationMode.BICUBIC),
            v2.PILToTensor(),
        ]
    )
    started = time.perf_counter()
    with torch.no_grad():
        for path, category in zip(paths, categories, strict=True):
            image = transform(Image.open(path).convert("RGB"))[None]
            model(image, torch.tensor([category])).softmax(2).argmax(2)
    return time.perf_counter() - started


def table_of(paths: list[Path], categories: np.ndarray) -> Table:
    """The rows `vtax predict` would read."""
    taxonomy = synthetic_taxonomy()
    names = np.array([str(path) for path in paths])
    targets = np.full((len(paths), taxonomy.num_slots), -1)
    return Table(taxonomy, np.arange(len(paths)).astype(str), categories, targets, names, Path("/"))


def gflops(dtype: torch.dtype) -> float:
    """Billions of operations per second of a large matrix product."""
    matrix = torch.randn(2048, 2048).to(dtype)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(times) / 1e9


def memory_mb() -> float:
    """Most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(checkpoint: Checkpoint, table: Table, precision: str, folder: Path) -> float:
    """Images per second of `vtax predict`, after one batch to warm up."""
    config = InferenceConfig(precision=precision, accelerator="cpu", batch_size=32)
    predictor = Predictor(checkpoint, config)
    write_predictions(predictor, table.take(np.arange(32)), folder / "warm.csv")
    started = time.perf_counter()
    write_predictions(predictor, table, folder / "out.csv")
    return len(table) / (time.perf_counter() - started)


def pictures(options: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The asked pictures, from the start again where there are too few."""
    if options.img_dir is None:
        synthesize(folder / "drawn", 200, image_size=options.image_size)
        options.img_dir = folder / "drawn" / "images"
    return cycle(sorted(options.img_dir.iterdir()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--img_dir", type=Path)
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--naive_images", type=int, default=96)
    parser.add_argument("--image_size", type=int, default=512)
    parser.add_argument("--backbone", default="ViT-B-32")
    options = parser.parse_args()
    taxonomy = synthetic_taxonomy()
    config = ModelConfig(backbone=options.backbone, pretrained_ckpt="none", head="linear")
    checkpoint = Checkpoint(taxonomy, config, build_classifier(taxonomy, config).state_dict())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = list(islice(pictures(options, folder), options.images))
        categories = np.arange(len(paths)) % len(taxonomy.categories)
        few = options.naive_images
        baseline = few / naive(checkpoint, paths[:few], categories[:few])
        print(f"{options.backbone}, {len(paths)} pictures, {torch.get_num_threads()} threads")
        print(f"naive loop, float32: {baseline:.1f} images/s")
        for precision, dtype in (("32", torch.float32), ("bf16", torch.bfloat16)):
            rate = timed(checkpoint, table_of(paths, categories), precision, folder)
            peak = gflops(dtype)
            wall = peak / GFLOP_AN_IMAGE.get(options.backbone, float("nan"))
            print(
                f"vtax predict, {precision}: {rate:.1f} images/s, {rate / baseline:.2f} x naive; "
                f"matrix products {peak:.0f} GFLOP/s allow {wall:.1f} images/s, "
                f"{wall / baseline:.2f} x naive"
            )
        before = memory_mb()
        table = table_of(paths * 4, np.tile(categories, 4))
        timed(checkpoint, table, "32", folder)
        print(f"peak memory {before:.0f} MB; after {len(table)} rows more {memory_mb():.0f} MB")


if __name__ == "__main__":
    main()
