r"""What several images of a product are worth: score and time with 1, 2 and 4 views of each.

A catalogue is drawn whose products have four photographs: front (without the hem), back, chest,
hem; no single one shows all attributes. A model is trained on the first 1, 2 and 4 of them, one of
a product an epoch, and answers the test products (whose labels are free of errors) from all of
them, by each way to fuse. Heads on the features of a frozen backbone, so that it ends in minutes.

    OMP_NUM_THREADS=1 python benchmarks/views.py \
        --weights ../shared/weights/mobilenetv2_100.safetensors

Intervals are of the difference to one view on the same products, 95 %, by 1000 bootstrap samples.
"features" is the mean of the features of the images before the heads, which no bundle can do.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import (
    DataConfig,
    InferenceConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.dataset import ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.data.views import products_of
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.taxonomy import UNKNOWN
from visual_taxonomy.training.train import train

PATTERNS = {1: "{id}_1.jpg", 2: "{id}_[12].jpg", 4: "{id}_*.jpg"}
SAMPLES = 1000
FEATURES = "features"
WAYS = ("mean", "log_mean", "best", "weighted")
"""Mean of probabilities; of their logarithms; for each attribute the image of the least entropy;
mean of logarithms, each image weighted by what it knows: log C - entropy."""
LEAST = 1e-7
"""Below any probability that decides; log(0) would make one image a veto."""


def config_of(folder: Path, views: int, options: argparse.Namespace) -> TrainConfig:
    """Heads on frozen features, trained on the first views of each product."""
    mobile_net = {"pad_type": "same"}
    return TrainConfig(
        DataConfig(
            folder / "images",
            folder / "train.csv",
            folder / "attrs_config.json",
            image_pattern=PATTERNS[views],
            feature_cache=folder / "features",
            random_state=options.seed,
            group_duplicates=False,
            train_workers=0,
            val_workers=0,
        ),
        ModelConfig(
            "mobilenetv2_100",
            str(options.weights),
            mobile_net,
            (options.image_size, options.image_size * 3 // 4),
            freeze_backbone=True,
            normalization="inception",
        ),
        optimizer=OptimizerConfig(epochs=options.epochs, batch_size=64),
        run=RunConfig(folder / "runs", f"views{views}", precision="32", accelerator="cpu"),
    )


def fuse(shares: np.ndarray, products: np.ndarray, how: str) -> np.ndarray:
    """[N, A, C] scores of products by one of `WAYS`; the highest is the answer."""
    starts = np.flatnonzero(np.diff(products, prepend=-1))
    counts = np.diff(np.append(starts, len(products)))[:, None, None]
    if how == "mean":
        return np.add.reduceat(shares.astype(np.float64), starts) / counts
    logs = np.log(np.maximum(shares, LEAST))
    if how == "log_mean":
        return np.add.reduceat(logs, starts) / counts
    sizes = np.maximum((shares > 0).sum(axis=2, keepdims=True), 1)
    known = np.log(sizes) + (shares * logs).sum(axis=2, keepdims=True)
    known = np.maximum(known, 0) + 1e-9  # the same for all images where none knows anything
    if how == "best":
        known = (known >= np.maximum.reduceat(known, starts)[products]).astype(float)
    return np.add.reduceat(logs * known, starts) / np.add.reduceat(known, starts)


def pooled_features(path: Path, table: Table) -> np.ndarray:
    """[N, A, C] answers of the heads to the mean of the features of each product's images."""
    checkpoint = read_checkpoint(path)
    model = checkpoint.classifier().eval()
    given = model.encoder.backbone.preprocessing
    transform = evaluation_transform(given.image_size, given.interpolation)
    images = table.by_image()
    dataset = ImageDataset(
        table.images.image, images.categories, images.targets, transform, given.image_size
    )
    loader = make_loader(dataset, batches_in_order(len(images), 64), 0)
    with torch.inference_mode():
        features = torch.cat([model.encoder(batch.images) for batch in loader])
        products = torch.from_numpy(products_of(table.starts)) if table.starts is not None else None
        if products is not None:
            total = torch.zeros(len(table), features.shape[1]).index_add_(0, products, features)
            features = total / torch.bincount(products)[:, None]
        categories = torch.from_numpy(table.categories)
        output = model.heads(features, categories, None)
        logits = model.heads.by_slot(output.logits, categories)
        return logits.softmax(dim=2).nan_to_num(0.0).numpy()


def answers(path: Path, table: Table) -> tuple[dict[str, np.ndarray], float]:
    """Way to fuse -> classes [N, A]; and the CPU seconds a product takes."""
    predictor = Predictor.load(
        path, InferenceConfig(workers=0, precision="32", accelerator="cpu", decision="argmax")
    )
    started = time.process_time()
    predictor.predict_classes(table)
    seconds = (time.process_time() - started) / len(table)
    images = table.by_image()
    shares = np.concatenate([each.probabilities for each in predictor.predict_table(images)])
    starts = np.arange(len(table) + 1) if table.starts is None else table.starts
    products = products_of(starts)
    found = {how: fuse(shares, products, how).argmax(2) for how in WAYS}
    found[FEATURES] = pooled_features(path, table).argmax(2)
    return found, seconds


def hm(table: Table, classes: np.ndarray, rows: np.ndarray) -> float:
    """HM-F1 of some rows."""
    return evaluate(table.taxonomy, classes[rows], table.targets[rows], table.categories[rows]).hm


def interval(values: np.ndarray) -> str:
    """95 % of the values."""
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{low:+.3f} to {high:+.3f}"


def show_overall(
    table: Table, found: dict[int, dict[str, np.ndarray]], seconds: dict[int, float]
) -> None:
    """HM-F1 of each number of views and way to fuse."""
    random = np.random.default_rng(0)
    everything = np.arange(len(table))
    samples = [random.choice(everything, len(everything)) for _ in range(SAMPLES // 5)]
    single = next(iter(found[1].values()))
    base = [hm(table, single, rows) for rows in samples]
    print("views  fused by    HM-F1   gain over one view       ms a product")
    print(f"1      -           {hm(table, single, everything):.3f}{'':27}{1000 * seconds[1]:.1f}")
    for views in (2, 4):
        for how, classes in found[views].items():
            gains = np.array([hm(table, classes, rows) for rows in samples]) - base
            gain = hm(table, classes, everything) - hm(table, single, everything)
            print(
                f"{views}      {how:10}  {hm(table, classes, everything):.3f}   {gain:+.3f} "
                f"({interval(gains)})   {1000 * seconds[views]:.1f}"
            )


def show_heads(table: Table, found: dict[int, dict[str, np.ndarray]], how: str) -> None:
    """Share of right answers of each attribute, over the categories that have it."""
    random = np.random.default_rng(0)
    taxonomy = table.taxonomy
    attributes = dict.fromkeys(task.attribute for task in taxonomy.tasks)
    print(f"\nattribute (right with one view), gain with 2 and 4, fused by {how}")
    for attribute in attributes:
        right: dict[int, list[np.ndarray]] = {views: [] for views in PATTERNS}
        for index, task in enumerate(taxonomy.tasks):
            if task.attribute != attribute:
                continue
            category = taxonomy.category_index(task.category)
            slot = taxonomy.slots[category].index(index)
            rows = (table.categories == category) & (table.targets[:, slot] != UNKNOWN)
            for views in PATTERNS:
                is_right = found[views][how][rows, slot] == table.targets[rows, slot]
                right[views].append(is_right.astype(float))
        of = {views: np.concatenate(each) for views, each in right.items()}
        drawn = random.integers(len(of[1]), size=(SAMPLES, len(of[1])))
        gains = [
            f"{(of[v] - of[1]).mean():+.3f} ({interval((of[v] - of[1])[drawn].mean(1))})"
            for v in (2, 4)
        ]
        print(f"{attribute:22} {of[1].mean():.3f}  {gains[0]}  {gains[1]}")


def main() -> None:
    """Draw, train, answer, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", default="none", help="of mobilenetv2_100")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--image_size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="to keep the catalogue and the runs")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    catalogue = folder / f"drawn{options.seed}"
    if not catalogue.exists():
        synthesize(catalogue, options.rows, options.seed, options.image_size, 0.4, 1, max(PATTERNS))
    found: dict[int, dict[str, np.ndarray]] = {}
    seconds: dict[int, float] = {}
    for views, pattern in PATTERNS.items():
        result = train(config_of(catalogue, views, options))
        assert result is not None
        best = result.folder / "best_score.pt"
        reading = LabelReading(image_pattern=pattern)
        taxonomy = read_checkpoint(best).taxonomy
        path = catalogue / "test_labels.csv"
        table = read_table(path, catalogue / "images", taxonomy, reading=reading)
        found[views], seconds[views] = answers(best, table)
    show_overall(table, found, seconds)
    show_heads(table, found, "mean")


if __name__ == "__main__":
    main()
