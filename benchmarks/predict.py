"""Images per second of `vtax predict` with each engine against a naive loop, from files to CSV.

The naive loop does what the original system did: one image at a time, float32, decoded, resized
and encoded in the same process. Model, images and machine are the same. Prints the ratio, the
share of what the machine's matrix products allow, and how many labels are those of torch in
float32. int8 is calibrated on other images than those that are timed.

    python benchmarks/predict.py --img_dir ../shared/data/apparel/images --images 384
    python benchmarks/predict.py                       # images it draws itself
    python benchmarks/predict.py --checkpoint out/r1/best_score.pt --img_dir ...
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from original import with_whole_last_block
from PIL import Image
from torchvision.transforms import v2

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.commands.benchmarking import forward_flops, matrix_rates
from visual_taxonomy.config import InferenceConfig, ModelConfig, Precision
from visual_taxonomy.data.label_file import DUMMY
from visual_taxonomy.data.table import Table
from visual_taxonomy.inference.engines import ENGINES
from visual_taxonomy.inference.export.bundle_writer import Trial, export
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.prediction_file import write_predictions
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.synthetic.catalogue import synthesize, synthetic_taxonomy
from visual_taxonomy.taxonomy import Taxonomy


def gflop(model: Classifier) -> float:
    """Billions of operations of the products that encode one image."""
    return forward_flops(model.encoder, model.encoder.backbone.preprocessing.image_size) / 1e9


def naive(model: Classifier, paths: list[Path], categories: np.ndarray) -> float:
    """Seconds of the original's loop."""
    height, width = model.encoder.backbone.preprocessing.image_size
    transform = v2.Compose(
        [
            v2.Resize((height, width), interpolation=v2.InterpolationMode.BICUBIC),
            v2.PILToTensor(),
        ]
    )
    started = time.perf_counter()
    with torch.no_grad():
        for path, category in zip(paths, categories, strict=False):
            image = transform(Image.open(path).convert("RGB"))[None]
            model(image, torch.tensor([category])).softmax(2).argmax(2)
    return time.perf_counter() - started


def table_of(taxonomy: Taxonomy, paths: list[Path], categories: np.ndarray) -> Table:
    """The rows `vtax predict` would read."""
    names = np.array([str(path) for path in paths])
    targets = np.full((len(paths), taxonomy.num_slots), -1)
    return Table(taxonomy, np.arange(len(paths)).astype(str), categories, targets, names, Path("/"))


def memory_mb() -> float:
    """Most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(predictor: Predictor, table: Table, folder: Path) -> tuple[float, list[str]]:
    """Images per second of `vtax predict`, after one batch to warm up, and the lines it wrote."""
    write_predictions(predictor, table.take(np.arange(32)), folder / "warm.csv")
    started = time.perf_counter()
    write_predictions(predictor, table, folder / "out.csv")
    rate = len(table) / (time.perf_counter() - started)
    return rate, (folder / "out.csv").read_text(encoding="utf-8").splitlines()


def equal_labels(lines: list[str], expected: list[str]) -> float:
    """Share of the labels that are the same."""
    pairs = [
        (label, other)
        for line, reference in zip(lines[1:], expected[1:], strict=True)
        for label, other in zip(line.split(",")[3:], reference.split(",")[3:], strict=True)
        if other != DUMMY
    ]
    return sum(label == other for label, other in pairs) / len(pairs)


class Run(NamedTuple):
    """One way to predict."""

    engine: str
    precision: Precision
    int8: bool


RUNS = {
    "torch, 32": Run("torch", "32", False),
    "torch, bf16": Run("torch", "bf16", False),
}
for _name, _entry in ENGINES.items():
    if not _entry.runs_checkpoints:
        RUNS[f"{_name}, 32"] = Run(_name, "32", False)
        RUNS[f"{_name}, int8"] = Run(_name, "32", True)


def predictors(
    checkpoint: Path, calibration: Table, folder: Path, options: argparse.Namespace
) -> Iterator[tuple[str, Predictor]]:
    """Each way to predict with the checkpoint, ready to run."""
    kinds: list[tuple[str, bool]] = [("float", False), ("int8", True)]
    trial = Trial(calibration, "", calibration=len(calibration), least=0.0)
    for name, int8 in kinds:
        export(checkpoint, folder / name, "onnx", int8, trial if int8 else None)
    for name, run in RUNS.items():
        source = checkpoint if run.engine == "torch" else folder / kinds[run.int8][0]
        config = InferenceConfig(
            run.engine, options.batch_size, 2, precision=run.precision, accelerator="cpu"
        )
        yield name, Predictor.load(source, config)


def image_paths(options: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The asked images, from the start again where there are too few."""
    if options.img_dir is None:
        synthesize(folder / "drawn", 200, image_size=options.image_size)
        options.img_dir = folder / "drawn" / "images"
    return cycle(sorted(options.img_dir.iterdir()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--img_dir", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="random weights when left out")
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--naive_images", type=int, default=96)
    parser.add_argument("--calibration_images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3, help="ways take turns; the best counts")
    parser.add_argument("--batch_size", type=int, help="what suits the engine when left out")
    parser.add_argument("--image_size", type=int, default=512)
    parser.add_argument("--backbone", default="ViT-B-32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        options.folder = Path(name)
        measure(options, options.folder)


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Time the naive loop and every engine."""
    path = options.checkpoint or random_checkpoint(options.backbone, folder / "random.pt")
    checkpoint = read_checkpoint(path)
    taxonomy = checkpoint.taxonomy
    found = image_paths(options, folder)
    others = list(islice(found, options.calibration_images))
    paths = list(islice(found, options.images))
    categories = np.arange(len(paths)) % len(taxonomy.categories)
    table = table_of(taxonomy, paths, categories)
    # Labels without meaning: the export is measured on half of them, whatever comes out.
    calibration = table_of(taxonomy, others, np.arange(len(others)) % len(taxonomy.categories))
    calibration.targets[:, 0] = 0
    original = checkpoint.classifier()
    with_whole_last_block(original)
    backbone, work = checkpoint.model.backbone, gflop(checkpoint.classifier())
    print(f"{backbone}, {len(paths)} images, {torch.get_num_threads()} threads")
    print(f"GFLOP an image: {work:.2f}, in the original's loop {gflop(original):.2f}")
    compare(original, dict(predictors(path, calibration, folder, options)), table, work, options)


def compare(
    original: Classifier,
    ways: dict[str, Predictor],
    table: Table,
    work: float,
    options: argparse.Namespace,
) -> None:
    """Take turns, print the best of each; `work` is the GFLOP of an image."""
    few = [table.path(row) for row in range(options.naive_images)]
    baselines, peaks = [], {"32": 0.0, "bf16": 0.0}
    rates: dict[str, list[float]] = defaultdict(list)
    lines: dict[str, list[str]] = {}
    for _ in range(options.rounds):
        baselines.append(len(few) / naive(original, few, table.categories))
        for name, predictor in ways.items():
            rate, lines[name] = timed(predictor, table, options.folder)
            rates[name].append(rate)
        found = matrix_rates(torch.device("cpu"), list(peaks))
        peaks = {kind: max(peak, found[kind] / 1e9) for kind, peak in peaks.items()}
    print("GFLOP/s of matrix products:", ", ".join(f"{k} {peak:.0f}" for k, peak in peaks.items()))
    print(f"{'naive loop':20} {max(baselines):6.1f} images/s")
    expected = lines[next(iter(ways))]
    for name, predictor in ways.items():
        rate, peak = max(rates[name]), peaks.get(predictor.engine.precision)
        share = f"{rate * work / peak:4.0%} of" if peak else "outside"
        print(
            f"{name:20} {rate:6.1f} images/s, {rate / max(baselines):5.2f} x naive, {share} the "
            f"matrix products, {equal_labels(lines[name], expected):7.2%} equal labels"
        )
    print(f"peak memory {memory_mb():.0f} MB, all engines loaded")


def random_checkpoint(backbone: str, path: Path) -> Path:
    """A checkpoint with random weights."""
    taxonomy = synthetic_taxonomy()
    config = ModelConfig(backbone=backbone, pretrained_ckpt="none", head="linear")
    model = build_classifier(taxonomy, config)
    write_checkpoint(path, Checkpoint(taxonomy, config, model.state_dict()))
    return path


if __name__ == "__main__":
    main()
