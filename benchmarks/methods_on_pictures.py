"""Every multi-task weighting method on real pictures: same loss, budget and seed; HM and cost.

The last stages of the backbone and the heads are trained. What the frozen stages before them give
is computed once, so that a method costs a minute and not an hour. Prints a Markdown table.

    python benchmarks/methods_on_pictures.py --config out/r1/config.toml --stages 1 --epochs 3

The config is that of a run with a convnet of timm (`vtax train` writes it).
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from lightning.fabric import Fabric
from rich.console import Console
from torch import Tensor, nn

from visual_taxonomy.config import TrainConfig, read_toml
from visual_taxonomy.data.dataset import PictureDataset, batches_in_order, make_loader
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.evaluation import majority_report
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS
from visual_taxonomy.training.distributed import launch
from visual_taxonomy.training.feature_cache import FeatureBatches
from visual_taxonomy.training.optimizer import learning_rate_factor, set_learning_rate
from visual_taxonomy.training.preparation import (
    Tables,
    named_class_counts,
    read_labelled_table,
    split_table,
)
from visual_taxonomy.training.setup import Run, build_run
from visual_taxonomy.training.step import Validation, train_step, validate


def activations(run: Run, table: Table, stages: int) -> Tensor:
    """[1, N, C, H, W] what the frozen stages give for every picture, in half precision."""
    encoder = run.model.encoder.eval()
    trunk = encoder.backbone.model
    frozen = nn.Sequential(trunk.conv_stem, trunk.bn1, *list(trunk.blocks)[:-stages])
    size = encoder.backbone.preprocessing.image_size
    dataset = PictureDataset(
        table.path, table.categories, table.targets, evaluation_transform(size), size
    )
    found = []
    with torch.no_grad():
        for batch in make_loader(dataset, batches_in_order(len(table), 64), workers=1):
            scaled = (batch.images.float() - encoder.mean.float()) / encoder.std.float()
            found.append(frozen(scaled.contiguous(memory_format=torch.channels_last)).bfloat16())
    return torch.cat(found)[None]


class LastStages(nn.Module):
    """The rest of the backbone, from the activations of the frozen stages to features."""

    def __init__(self, trunk: nn.Module, stages: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.stages = stages

    def forward(self, given: Tensor) -> Tensor:
        """Features [N, D]."""
        hidden = given.float().contiguous(memory_format=torch.channels_last)
        for stage in list(self.trunk.blocks)[-self.stages :]:
            hidden = stage(hidden)
        hidden = self.trunk.bn2(self.trunk.conv_head(hidden))
        return self.trunk.global_pool(hidden)


def prepare(
    config: TrainConfig, fabric: Fabric, tables: Tables, given: dict[str, Tensor], stages: int
) -> Run:
    """A run of the config whose pictures are the activations."""
    run = build_run(config, fabric, tables, Console(quiet=True))
    run.training_batches = FeatureBatches(given["training"], tables.training, run.sampler)
    size = config.optimizer.batch_size
    run.validation_batches = FeatureBatches(
        given["validation"], tables.validation, batches_in_order(len(tables.validation), size)
    )
    run.encoder = LastStages(run.model.encoder.backbone.model, stages)
    return run


def train(run: Run) -> tuple[Validation, float]:
    """Train to the end; the last epoch's scores and the seconds of the training steps."""
    epochs = run.config.optimizer.epochs
    total, seconds, step = epochs * len(run.sampler), 0.0, 0
    for epoch in range(epochs):
        run.model.train()
        run.objective.start_epoch(epoch, run.device)
        run.sampler.set_position(epoch, 0)
        started = time.perf_counter()
        for batch in run.training_batches:
            factor = learning_rate_factor(step, total, run.config.optimizer.warm_up)
            set_learning_rate(run.optimizer, factor)
            train_step(run, batch, step)
            step += 1
        seconds += time.perf_counter() - started
        run.position.losses.fetch(0.0)
        run.method.end_epoch()
    return validate(run), seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--stages", type=int, default=1, help="of the backbone that are trained")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_sampling", default="mixed")
    parser.add_argument("--methods", nargs="+", default=["none", *TASK_WEIGHTINGS])
    options = parser.parse_args()
    config = read_toml(TrainConfig, options.config)
    data = config.data
    table = read_labelled_table(data.csv_path, data.img_dir, data.attributes_config, data.parq_path)
    tables = split_table(table, data, config.run.folder)
    config = replace(
        config,
        data=replace(data, batch_sampling=options.batch_sampling),
        model=replace(config.model, unlock_block=-options.stages),
        optimizer=replace(config.optimizer, epochs=options.epochs),
        run=replace(config.run, save_dir=Path(tempfile.mkdtemp())),
    )
    fabric = launch(config.run, [])
    first = build_run(config, fabric, tables, Console())
    given = {
        "training": activations(first, tables.training, options.stages),
        "validation": activations(first, tables.validation, options.stages),
    }
    print("| method | HM | micro | macro | seconds | ratio to the plain sum |")
    print("|---|---|---|---|---|---|")
    rows = tables.validation
    majority = majority_report(
        tables.taxonomy, named_class_counts(tables.training), rows.targets, rows.categories
    )
    scores = f"{majority.hm:.3f} | {majority.micro:.3f} | {majority.macro:.3f}"
    print(f"| (majority class) | {scores} | | |")
    plain = None
    for method in options.methods:
        torch.manual_seed(data.random_state)
        chosen = replace(config, objective=replace(config.objective, method=method))
        validation, seconds = train(prepare(chosen, fabric, tables, given, options.stages))
        plain = plain or seconds
        report = validation.report
        scores = f"{report.hm:.3f} | {report.micro:.3f} | {report.macro:.3f}"
        print(f"| {method} | {scores} | {seconds:.0f} | {seconds / plain:.2f} |", flush=True)


if __name__ == "__main__":
    main()
