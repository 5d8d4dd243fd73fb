"""Images per second of the training step, the share of time it waits for pictures, bf16 / fp32.

python benchmarks/train_step.py                                  # ViT-B-32, 8 blocks trained
python benchmarks/train_step.py --backbone mobilenetv2_100 --image_size 160 120 --batch_size 64
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console

from visual_taxonomy.config import (
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.synthetic import synthesize
from visual_taxonomy.training.distributed import launch
from visual_taxonomy.training.preparation import read_labelled_table, split_table
from visual_taxonomy.training.setup import Run, build_run
from visual_taxonomy.training.step import train_step


def build(options: argparse.Namespace, folder: Path, precision: str) -> Run:
    """A run on the drawn catalogue in the folder."""
    drawn = folder / "drawn"
    config = TrainConfig(
        data=DataConfig(
            drawn / "images",
            drawn / "train.csv",
            drawn / "attrs_config.json",
            group_duplicates=False,
            batch_sampling="joint",
            train_workers=options.workers,
        ),
        model=ModelConfig(
            backbone=options.backbone,
            pretrained_ckpt="none",
            image_size=tuple(options.image_size) if options.image_size else None,
            unlock_block=options.unlock_block,
        ),
        objective=ObjectiveConfig(loss_type=options.loss_type, method=options.method),
        optimizer=OptimizerConfig(batch_size=options.batch_size),
        run=RunConfig(folder / precision, precision=precision, accelerator=options.accelerator),
    )
    fabric = launch(config.run, [])
    data = config.data
    table = read_labelled_table(data.csv_path, data.img_dir, data.attributes_config, None)
    tables = split_table(table, data, config.run.folder)
    return build_run(config, fabric, tables, Console().print)


def measure(run: Run, steps: int) -> tuple[float, float]:
    """Images per second, and the share of time spent waiting for a batch."""
    run.model.train()
    run.objective.start_epoch(0, run.device)
    run.sampler.set_position(0)
    batches = iter(run.training_batches)
    train_step(run, next(batches), 0)
    images, waiting = 0, 0.0
    started = time.perf_counter()
    for step in range(1, steps + 1):
        asked = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - asked
        train_step(run, batch, step)
        images += len(batch.rows)
    run.position.losses.fetch(0.0)
    seconds = time.perf_counter() - started
    return images / seconds, waiting / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ViT-B-32")
    parser.add_argument("--image_size", type=int, nargs=2)
    parser.add_argument("--unlock_block", type=int, default=-8)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--loss_type", default="CE")
    parser.add_argument("--method", default="none")
    parser.add_argument("--accelerator", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesize(folder / "drawn", 2 * options.batch_size * (options.steps + 2))
        rates = {}
        for precision in ("32", "bf16"):
            rates[precision], share = measure(build(options, folder, precision), options.steps)
            print(
                f"{options.backbone}, batch {options.batch_size}, precision {precision}: "
                f"{rates[precision]:.1f} images/s, waiting for pictures {share:.1%}"
            )
        print(f"bf16 / fp32: {rates['bf16'] / rates['32']:.2f}")


if __name__ == "__main__":
    main()
