"""Losses and schedules compared on the features of a frozen backbone, beside simple baselines.

Every image is encoded once; then each loss and schedule trains the same heads on the same
features, batches and seed. Prints a Markdown table and draws F1 of rare against frequent classes.

    python benchmarks/long_tail.py --config out/r1/config.toml --out docs/images/long_tail.png

The config is that of a run (`vtax train` writes it): its data, split and backbone are used.
"""

import argparse
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
from visual_taxonomy.config import ObjectiveConfig, TrainConfig
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.data.dataset import ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.evaluation import Report, evaluate, majority_report
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.model.classifier import Encoder, build_classifier
from visual_taxonomy.model.heads import CategoryHeads
from visual_taxonomy.training.feature_cache import encode
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.preparation import (
    Tables,
    count_classes,
    named_class_counts,
    read_labelled_table,
    split_table,
)
from visual_taxonomy.training.setup import load_weights

RARE, FREQUENT = 0.05, 0.20
BETA = 0.999
ORIGINAL = ("CE", "LDAM", "Focal", "IB", "IBFocal", "CE-CB", "F-CB", "VS", "CDT", "LA")


class Encoded(NamedTuple):
    """A table and the features [N, D] of its images."""

    table: Table
    features: Tensor


def encoded(encoder: Encoder, table: Table) -> Encoded:
    """Features of every image, in the order of the table."""
    preprocessing = encoder.backbone.preprocessing
    size = preprocessing.image_size
    transform = evaluation_transform(size, preprocessing.interpolation)
    dataset = ImageDataset(table.path, table.categories, table.targets, transform, size)
    batches = make_loader(dataset, batches_in_order(len(table), 64), workers=1)
    return Encoded(table, encode(encoder, batches, len(table), nullcontext))


def logistic_regression(training: Encoded, validation: Encoded, balanced: bool) -> Report:
    """One regression a head (C = 0.01) on standardised features."""
    taxonomy = training.table.taxonomy
    scaler = StandardScaler().fit(training.features.numpy())
    x, y = (scaler.transform(part.features.numpy()) for part in (training, validation))
    predicted = np.full_like(validation.table.targets, -1)
    for k, slots in enumerate(taxonomy.slots):
        asked = validation.table.categories == k
        for slot in range(len(slots)):
            labels = training.table.targets[:, slot]
            rows = (training.table.categories == k) & (labels >= 0)
            if len(set(labels[rows])) < 2:
                predicted[asked, slot] = labels[rows][0] if rows.any() else 0
                continue
            model = LogisticRegression(
                C=0.01, max_iter=1000, class_weight="balanced" if balanced else None
            )
            predicted[asked, slot] = model.fit(x[rows], labels[rows]).predict(y[asked])
    table = validation.table
    return evaluate(taxonomy, predicted, table.targets, table.categories)


def train_heads(
    training: Encoded, validation: Encoded, config: ObjectiveConfig, epochs: int, seed: int
) -> Report:
    """Train heads with a loss and a schedule, then score them."""
    torch.manual_seed(seed)
    taxonomy = training.table.taxonomy
    kind = LOSSES[config.loss_type].head
    heads = CategoryHeads(taxonomy, training.features.shape[1], kind=kind)
    objective = Objective(taxonomy, count_classes(training.table), config, epochs)
    parameters = [*heads.parameters(), *objective.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-3)
    categories = torch.from_numpy(training.table.categories)
    targets = torch.from_numpy(training.table.targets)
    for epoch in range(epochs):
        objective.start_epoch(epoch, torch.device("cpu"))
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 + np.cos(np.pi * epoch / epochs)) / 2
        for rows in torch.randperm(len(targets)).split(512):
            entries = objective.entries(categories[rows], targets[rows])
            output = heads(training.features[rows], categories[rows], entries.tasks)
            optimizer.zero_grad()
            torch.stack(list(objective(output, entries).values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
    heads.eval()
    table = validation.table
    asked = torch.from_numpy(table.categories)
    with torch.inference_mode():
        logits = heads.by_slot(heads(validation.features, asked).logits, asked)
    return evaluate(taxonomy, logits.argmax(2).numpy(), table.targets, table.categories)


def f1_by_frequency(report: Report, counts: dict[str, list[int]]) -> tuple[float, float]:
    """Mean F1 of the rare and of the frequent classes that occur in the validation rows."""
    rare, frequent = [], []
    for category in report.categories:
        for attribute in category.attributes:
            of_class = np.array(counts[f"{category.name}/{attribute.name}"])
            shares = of_class / max(1, of_class.sum())
            for share, scores in zip(shares, attribute.classes, strict=True):
                if scores.support:
                    (rare if share < RARE else frequent if share >= FREQUENT else []).append(
                        scores.f1
                    )
    return float(np.mean(rare)), float(np.mean(frequent))


def draw(points: list[tuple[str, str, float, float]], path: Path) -> None:
    """F1 of rare classes against F1 of frequent ones, a dot for each loss and schedule."""
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    markers = dict(zip(CLASS_WEIGHTINGS, cycle("o^sDvP*X"), strict=False))
    colours = {loss: f"C{i}" for i, loss in enumerate(dict.fromkeys(p[0] for p in points))}
    for loss, rule, rare, frequent in points:
        axes.scatter(frequent, rare, marker=markers[rule], color=colours[loss], alpha=0.8)
    for rule, marker in markers.items():
        axes.scatter([], [], marker=marker, color="0.4", label=f"--train_rule {rule}")
    axes.set_xlabel(f"mean F1 of classes with at least {FREQUENT:.0%} of the labels")
    axes.set_ylabel(f"mean F1 of classes with less than {RARE:.0%} of the labels")
    axes.set_title("What is gained on rare classes, and what it costs on frequent ones", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    for loss, colour in colours.items():
        axes.scatter([], [], marker="s", color=colour, label=f"--loss_type {loss}")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def read(config: TrainConfig) -> Tables:
    """The rows of the run, split as it was."""
    data = config.data
    table = read_labelled_table(data.csv_path, data.img_dir, data.attributes_config, data.parq_path)
    return split_table(table, data, config.run.folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("long_tail.png"))
    parser.add_argument("--baselines_only", action="store_true")
    options = parser.parse_args()
    config = read_toml(TrainConfig, options.config)
    tables = read(config)
    model = build_classifier(tables.taxonomy, config.model)
    load_weights(model, config.model)
    encoder = model.encoder.eval()
    training, validation = (encoded(encoder, t) for t in (tables.training, tables.validation))
    counts = named_class_counts(tables.training)

    def show(loss: str, rule: str, report: Report) -> tuple[float, float]:
        rare, frequent = f1_by_frequency(report, counts)
        scores = f"{report.hm:.3f} | {report.micro:.3f} | {report.macro:.3f}"
        print(f"| {loss} | {rule} | {scores} | {rare:.3f} | {frequent:.3f} |", flush=True)
        return rare, frequent

    print("| loss | schedule | HM | micro | macro | F1 rare | F1 frequent |")
    print("|---|---|---|---|---|---|---|")
    table = validation.table
    majority = majority_report(tables.taxonomy, counts, table.targets, table.categories)
    show("majority class", "", majority)
    for balanced in (False, True):
        name = "logistic regression" + (", balanced" if balanced else "")
        show(name, "", logistic_regression(training, validation, balanced))
    if options.baselines_only:
        return
    points = []
    for loss in ORIGINAL:
        for rule in CLASS_WEIGHTINGS:
            objective = ObjectiveConfig(loss_type=loss, train_rule=rule, beta=BETA)
            report = train_heads(training, validation, objective, options.epochs, options.seed)
            points.append((loss, rule, *show(loss, rule, report)))
    draw(points, options.out)


if __name__ == "__main__":
    main()
