"""Images per second of the training step from files, beside a plain float32 loop.

The plain loop is what the original does: Pillow's transforms on floats, a last block that
computes every token, a module a head, an optimizer that is not fused, the loss fetched at every
step.

python benchmarks/train_step.py                                  # ViT-B-32, 8 blocks trained
python benchmarks/train_step.py --backbone mobilenetv2_100 --image_size 160 120 --unlock_block -4
python benchmarks/train_step.py --backbone mobilenetv2_100 --image_size 160 120 --unlock_block 0 \
    --pretrained_ckpt mobilenetv2_100.safetensors --backbone_parameters pad_type=same

With weights, the layers of BatchNorm keep their statistics, in the plain loop too.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from original import with_whole_last_block
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from visual_taxonomy.commands.benchmarking import drawn_table, measure_training
from visual_taxonomy.config import ModelConfig, RunConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.training.parallel import launch
from visual_taxonomy.training.setup import freeze_as_configured, load_weights


class PlainImages(Dataset):
    """Images as Pillow and torchvision give them: float32 tensors, augmented one by one."""

    def __init__(self, table: Table, size: tuple[int, int]) -> None:
        self.table = table
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(size, scale=(0.9, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomRotation(10),
                transforms.RandomPerspective(0.1, 0.5),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = Image.open(self.table.path(row)).convert("RGB")
        return self.transform(image), torch.from_numpy(self.table.targets[row])


def plain_rate(model: Classifier, table: Table, options: argparse.Namespace) -> float:
    """Images per second of the plain loop, heads of one category for all images."""
    backbone = model.encoder.backbone
    tasks = table.taxonomy.slots[0]
    widths = [len(table.taxonomy.tasks[task].classes) for task in tasks]
    heads = nn.ModuleList(nn.Linear(backbone.width, width) for width in widths)
    trained = [p for p in (*backbone.parameters(), *heads.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    dataset = PlainImages(table, backbone.preprocessing.image_size)
    loader = DataLoader(dataset, options.batch_size, shuffle=True, num_workers=options.workers)
    images, started = 0, None
    while started is None or time.perf_counter() - started < options.seconds:
        for batch, targets in loader:
            features = backbone(batch)
            losses = [
                nn.functional.cross_entropy(head(features), targets[:, i] % head.out_features)
                for i, head in enumerate(heads)
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            losses[0].item()
            if started is None:
                started = time.perf_counter()
                continue
            images += len(batch)
            if time.perf_counter() - started >= options.seconds:
                break
    return images / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ViT-B-32")
    parser.add_argument("--pretrained_ckpt", default="none")
    parser.add_argument("--backbone_parameters", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--image_size", type=int, nargs=2)
    parser.add_argument("--picture_size", type=int, default=512, help="height of the JPEGs")
    parser.add_argument("--unlock_block", type=int, default=-8)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(0)
    config = ModelConfig(
        options.backbone,
        options.pretrained_ckpt,
        dict(pair.split("=", 1) for pair in options.backbone_parameters),
        image_size=tuple(options.image_size) if options.image_size else None,
        unlock_block=options.unlock_block,
    )
    parallel = launch(RunConfig(accelerator="cpu"))
    with tempfile.TemporaryDirectory() as name:
        table = drawn_table(Path(name), 4 * options.batch_size, options.picture_size)
        model = build_classifier(table.taxonomy, config)
        load_weights(model, config)
        freeze_as_configured(model, config)
        with_whole_last_block(model)
        plain = plain_rate(model.train(), table, options)
        print("| step | images/s | ratio to the plain loop | waiting for images |")
        print("|---|---|---|---|")
        print(f"| plain loop, float32 | {plain:.1f} | 1 | |", flush=True)
        for cache in (None, Path(name) / "cache"):
            for precision in ("32", "bf16"):
                found = measure_training(
                    parallel,
                    config,
                    table,
                    options.batch_size,
                    options.workers,
                    precision,
                    None,
                    options.seconds,
                    cache,
                )
                rate, cached = found.images_per_second, " with --image_cache" if cache else ""
                print(
                    f"| {found.what}{cached} | {rate:.1f} | {rate / plain:.2f} | "
                    f"{found.waiting:.1%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
