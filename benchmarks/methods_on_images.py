"""Every multi-task weighting method on real images: same loss, budget and seed; HM and cost.

The last stages of the backbone and the heads are trained. What the frozen stages before them give
is computed once, so that a method costs a minute and not an hour. Prints a Markdown table.

    python benchmarks/methods_on_images.py --config out/r1/config.toml --stages 1 --epochs 3

The config is that of a run with a convnet of timm (`vtax train` writes it).
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.data.dataset import ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.evaluation import majority_report
from visual_taxonomy.model.classifier import Classifier, Encoder
from visual_taxonomy.progress import Reporter
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS
from visual_taxonomy.training.batch_source import BatchSource, make_sampler, validation_draws
from visual_taxonomy.training.feature_cache import FeatureBatches
from visual_taxonomy.training.parallel import Parallel, launch
from visual_taxonomy.training.preparation import (
    Tables,
    named_class_counts,
    read_labelled_table,
    split_table,
)
from visual_taxonomy.training.setup import Hooks, build_trainer
from visual_taxonomy.training.trainer import Trainer
from visual_taxonomy.training.validation import Validation


def activations(encoder: Encoder, table: Table, stages: int) -> Tensor:
    """[1, N, C, H, W] what the frozen stages give for every image, in half precision."""
    backbone = encoder.backbone.model
    frozen = nn.Sequential(backbone.conv_stem, backbone.bn1, *list(backbone.blocks)[:-stages])
    size = encoder.backbone.preprocessing.image_size
    transform = evaluation_transform(size, encoder.backbone.preprocessing.interpolation)
    dataset = ImageDataset(table.path, table.categories, table.targets, transform, size)
    found = []
    with torch.no_grad():
        for batch in make_loader(dataset, batches_in_order(len(table), 64), workers=1):
            scaled = (batch.images.float() - encoder.mean.float()) / encoder.std.float()
            found.append(frozen(scaled.contiguous(memory_format=torch.channels_last)).bfloat16())
    return torch.cat(found)[None]


class LastStages(nn.Module):
    """The rest of the backbone, from the activations of the frozen stages to features."""

    def __init__(self, backbone: nn.Module, stages: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.stages = stages

    def forward(self, given: Tensor) -> Tensor:
        """Features [N, D]."""
        hidden = given.float().contiguous(memory_format=torch.channels_last)
        for stage in list(self.backbone.blocks)[-self.stages :]:
            hidden = stage(hidden)
        hidden = self.backbone.bn2(self.backbone.conv_head(hidden))
        return self.backbone.global_pool(hidden)


class Activations(NamedTuple):
    """What the frozen stages give, as a source of batches."""

    training: Tensor
    validation: Tensor
    stages: int

    def __call__(
        self,
        config: TrainConfig,
        tables: Tables,
        model: Classifier,
        parallel: Parallel,
        reporter: Reporter,
    ) -> BatchSource:
        """The source of a trainer: batches of activations, encoded by the last stages."""
        del reporter
        sampler = make_sampler(config, tables, parallel)
        draws = validation_draws(config, tables, parallel)
        return BatchSource(
            sampler,
            FeatureBatches(self.training, tables.training, sampler),
            FeatureBatches(self.validation, tables.validation, draws),
            LastStages(model.encoder.backbone.model, self.stages),
        )


def train(trainer: Trainer) -> tuple[Validation, float]:
    """Train to the end; the last epoch's scores and the seconds of the training steps."""
    source, seconds = trainer.source, 0.0
    for epoch in range(trainer.config.optimizer.epochs):
        trainer.model.train()
        trainer.objective.start_epoch(epoch, trainer.parallel.device)
        started = time.perf_counter()
        for batch in source.rest_of_epoch():
            trainer.train_step(batch)
            source.advance()
        seconds += time.perf_counter() - started
        trainer.recorder.losses.fetch(0.0)
        trainer.updates.end_epoch()
        source.start_next_epoch()
    return trainer.validate(), seconds


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
    parallel = launch(config.run)
    encoder = build_trainer(config, parallel, tables).model.classifier.encoder.eval()
    given = Activations(
        activations(encoder, tables.training, options.stages),
        activations(encoder, tables.validation, options.stages),
        options.stages,
    )
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
        trainer = build_trainer(chosen, parallel, tables, hooks=Hooks(make_source=given))
        validation, seconds = train(trainer)
        plain = plain or seconds
        report = validation.report
        scores = f"{report.hm:.3f} | {report.micro:.3f} | {report.macro:.3f}"
        print(f"| {method} | {scores} | {seconds:.0f} | {seconds / plain:.2f} |", flush=True)


if __name__ == "__main__":
    main()
