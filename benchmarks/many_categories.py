"""Time and memory of a training step, a validation and a prediction, few categories beside many.

Each case is a process of its own, so that its peak of memory is its own. Images are random
numbers in memory: what is measured is the model, its heads and what is computed for each task.

python benchmarks/many_categories.py                                     # ViT-B-32
python benchmarks/many_categories.py --backbone vit_tiny_patch16_224 --image_size 64 64
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from visual_taxonomy.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.sampler import Draw
from visual_taxonomy.data.table import Table
from visual_taxonomy.model.classifier import Classifier
from visual_taxonomy.processor import read_processor
from visual_taxonomy.progress import Reporter
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.batch_source import BatchSource, make_sampler, validation_draws
from visual_taxonomy.training.parallel import Parallel, launch
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.setup import Hooks, build_trainer
from visual_taxonomy.training.trainer import Trainer

CASES = {"5 x 8": (5, 8), "300 x 10": (300, 10)}
CLASSES = 10


def drawn_tables(categories: int, attributes: int, batch_size: int) -> Tables:
    """Rows with random labels, a fifth of them unknown: four batches a category of all rows."""
    names = [f"class {k}" for k in range(CLASSES)]
    of_category = {f"attribute {a}": names for a in range(attributes)}
    taxonomy = Taxonomy.from_dict({f"category {k:03d}": of_category for k in range(categories)})
    generator = np.random.default_rng(0)
    rows = 20 * max(batch_size, categories)
    targets = generator.integers(0, CLASSES, (rows, attributes))
    targets[generator.random(targets.shape) < 0.2] = -1
    ids = np.array([f"P{row}" for row in range(rows)])
    table = Table(taxonomy, ids, np.arange(rows) % categories, targets, ids, Path())
    return Tables(taxonomy, table, table.take(np.arange(4 * batch_size)))


class RandomImages:
    """Batches of random pixels for the draws of a sampler."""

    def __init__(
        self, table: Table, draws: Iterable[Sequence[Draw]], size: tuple[int, int]
    ) -> None:
        self.table, self.draws, self.size = table, draws, size

    def __iter__(self) -> Iterator[Batch]:
        for draws in self.draws:
            rows = np.array([draw.row for draw in draws])
            images = torch.randint(0, 256, (len(rows), 3, *self.size), dtype=torch.uint8)
            yield Batch(
                images,
                torch.from_numpy(self.table.categories[rows]),
                torch.from_numpy(self.table.targets[rows]),
                torch.from_numpy(rows),
                {},
            )


def make_source(
    config: TrainConfig, tables: Tables, model: Classifier, parallel: Parallel, _: Reporter
) -> BatchSource:
    """Random images in place of files."""
    size = model.encoder.backbone.preprocessing.image_size
    sampler = make_sampler(config, tables, parallel)
    draws = validation_draws(config, tables, parallel)
    return BatchSource(
        sampler,
        RandomImages(tables.training, sampler, size),
        RandomImages(tables.validation, draws, size),
        model.encoder,
    )


def trainer_of(case: str, options: argparse.Namespace, folder: Path) -> Trainer:
    """A trainer of the case, on the CPU, in float32."""
    tables = drawn_tables(*CASES[case], options.batch_size)
    config = TrainConfig(
        DataConfig(folder, folder / "x.csv", batch_sampling=options.batch_sampling),
        ModelConfig(
            options.backbone,
            "none",
            image_size=tuple(options.image_size) if options.image_size else None,
            unlock_block=0,
        ),
        optimizer=OptimizerConfig(batch_size=options.batch_size),
        run=RunConfig(folder, accelerator="cpu", precision="32"),
    )
    return build_trainer(config, launch(config.run), tables, hooks=Hooks(make_source=make_source))


def seconds(call: Callable[[], object], times: int) -> float:
    """Of the fastest call, after one to warm up."""
    call()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def measure(what: str, case: str, options: argparse.Namespace) -> dict[str, float]:
    """Seconds and peak megabytes of one kind of work."""
    with tempfile.TemporaryDirectory() as name:
        trainer = trainer_of(case, options, Path(name))
        batches = iter(trainer.source.rest_of_epoch())
        if what == "training step":
            trainer.model.train()
            took = seconds(lambda: trainer.train_step(next(batches)), options.times)
        elif what == "validation":
            took = seconds(trainer.validate, max(2, options.times // 4))
        else:
            batch = next(batches)
            model = trainer.model.classifier.eval()
            with torch.inference_mode():
                took = seconds(lambda: model(batch.images, batch.categories), options.times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took, "megabytes": peak}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ViT-B-32")
    parser.add_argument("--image_size", type=int, nargs=2)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--batch_sampling", default="mixed")
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument(
        "--only", nargs=2, metavar=("WORK", "CASE"), help="one measurement, as JSON"
    )
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(*options.only, options)))
        return
    print(
        f"{options.backbone}, batch {options.batch_size}, {options.batch_sampling}, "
        f"{read_processor().model}"
    )
    print("| work | " + " | ".join(f"{case}: ms, MB" for case in CASES) + " | ratio |")
    print("|---|" + "---|" * (len(CASES) + 1))
    for what in ("training step", "validation", "prediction"):
        found = []
        for case in CASES:
            command = [sys.executable, *sys.argv, "--only", what, case]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.append(json.loads(output.splitlines()[-1]))
        few, many = found
        cells = [f"{1000 * each['seconds']:.1f}, {each['megabytes']:.0f}" for each in found]
        ratios = [many[key] / few[key] for key in ("seconds", "megabytes")]
        print(f"| {what} | {' | '.join(cells)} | {ratios[0]:.2f}, {ratios[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
