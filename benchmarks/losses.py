"""What the losses of all heads cost, as a share of a training step of the same batch.

Prints for each loss the time of forward and backward from the logits, beside the step of
ViT-B-32 (8 of 12 blocks trained) on this machine.

    python benchmarks/losses.py --batch_size 64
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn

from visual_taxonomy.config import ModelConfig, ObjectiveConfig
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.model.freezing import freeze
from visual_taxonomy.model.heads import HeadOutput
from visual_taxonomy.synthetic.catalogue import synthetic_taxonomy
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.objective import Entries, Objective


def seconds(call: Callable[[], object], repeats: int) -> float:
    """The fastest of some calls, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def batch(taxonomy: Taxonomy, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Categories [N] in turn and random labels [N, A], a quarter of them missing."""
    categories = torch.arange(size) % len(taxonomy.categories)
    targets = torch.full((size, taxonomy.num_slots), -1)
    for row, category in enumerate(categories.tolist()):
        for slot, task in enumerate(taxonomy.slots[category]):
            if torch.rand(()) < 0.75:
                targets[row, slot] = torch.randint(len(taxonomy.tasks[task].classes), ())
    return categories, targets


def step(model: Classifier, objective: Objective, size: int) -> Callable[[], None]:
    """A function that does forward and backward of the whole model."""
    categories, targets = batch(objective.taxonomy, size)
    height, width = model.encoder.backbone.preprocessing.image_size
    images = torch.randint(256, (size, 3, height, width), dtype=torch.uint8)
    entries = objective.entries(categories, targets)

    def call() -> None:
        output = model.heads(model.encoder(images), categories, entries.tasks)
        torch.stack(list(objective(output, entries).values())).sum().backward()
        model.zero_grad()

    return call


def losses_only(objective: Objective, output: HeadOutput, entries: Entries) -> Callable[[], None]:
    """A function that does forward and backward of the losses of given logits."""

    def call() -> None:
        torch.stack(list(objective(output, entries).values())).sum().backward()

    return call


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--backbone", default="ViT-B-32")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.manual_seed(0)
    taxonomy = synthetic_taxonomy()
    counts = [torch.randint(1, 500, (len(task.classes),)) for task in taxonomy.tasks]
    model = build_classifier(taxonomy, ModelConfig(options.backbone, pretrained_ckpt="none"))
    freeze(model.encoder.backbone)
    plain = Objective(taxonomy, counts, ObjectiveConfig(), num_epochs=1)
    plain.start_epoch(0, torch.device("cpu"))
    whole = seconds(step(model, plain, options.batch_size), repeats=2)
    print(
        f"{options.backbone}, batch {options.batch_size}, {len(taxonomy.tasks)} heads: "
        f"forward and backward {1e3 * whole:.0f} ms"
    )
    entries = plain.entries(*batch(taxonomy, options.batch_size))
    width = max(len(task.classes) for task in taxonomy.tasks)
    for name in LOSSES:
        config = ObjectiveConfig(loss_type=name, ib_start_epoch=0)
        objective = Objective(taxonomy, counts, config, num_epochs=1)
        objective.start_epoch(0, torch.device("cpu"))
        logits = nn.Parameter(torch.randn(options.batch_size, len(entries.tasks), width))
        hidden = torch.rand(options.batch_size, 256)
        call = losses_only(objective, HeadOutput(logits, hidden), entries)
        cost = seconds(call, options.repeats)
        print(f"{name:15} {1e3 * cost:6.2f} ms  {cost / whole:6.2%} of the step")


if __name__ == "__main__":
    main()
