"""Training on products of several images."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from visual_taxonomy.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.data.dataset import ImageDataset
from visual_taxonomy.data.sampler import Draw
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import AUGMENTATIONS, evaluation_transform
from visual_taxonomy.data.views import ViewOrder
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.data_record import changes, record, write_record
from visual_taxonomy.training.train import Result, train
from visual_taxonomy.training.unreadable import Unreadable

SIZE = (16, 16)


@pytest.fixture
def table(table_of: Callable[[int], Table]) -> Table:
    """Two products, of one image and of three."""
    drawn = table_of(4)
    part = {"categories": drawn.categories[:2], "targets": drawn.targets[:2]}
    return replace(drawn, ids=np.array(["a", "b"]), starts=np.array([0, 1, 4]), **part)


def dataset(table: Table, augmentation: str = "none") -> ImageDataset:
    make = AUGMENTATIONS[augmentation]
    order = ViewOrder(table.starts, seed=1)
    return ImageDataset(
        table.images.image, table.categories, table.targets, make(SIZE), SIZE, 1, order
    )


def test_each_epoch_shows_one_image_of_a_product(table: Table) -> None:
    seen = dataset(table)
    plain = ImageDataset(
        table.images.image,
        *(table.by_image().categories, table.by_image().targets),
        *(evaluation_transform(SIZE), SIZE),
    )
    images = [plain[Draw(number, 0)].images for number in range(4)]
    shown = []
    for epoch in range(6):
        batch = seen[Draw(1, epoch)]
        shown += [k for k, image in enumerate(images) if torch.equal(image, batch.images)]
        assert (batch.rows.tolist(), batch.targets.tolist()) == ([1], [table.targets[1].tolist()])
    assert sorted(shown[:3]) == sorted(shown[3:]) == [1, 2, 3]


def test_a_draw_depends_on_nothing_but_itself(table: Table) -> None:
    """So neither on the number of processes that load, nor on what a run has done before."""
    one, other = dataset(table, "standard"), dataset(table, "standard")
    forward = {epoch: one[Draw(1, epoch)].images for epoch in range(4)}
    backward = {epoch: other[Draw(1, epoch)].images for epoch in reversed(range(4))}
    assert all(torch.equal(forward[epoch], backward[epoch]) for epoch in range(4))


def test_another_image_stands_in_for_a_damaged_one(table: Table) -> None:
    (table.images.folder / "000002.png").write_bytes(b"")
    batches = [dataset(table)[Draw(1, epoch)] for epoch in range(3)]
    assert all(batch.categories.tolist() == [1] for batch in batches)
    assert {k: v for batch in batches for k, v in batch.problems.items()} == {
        2: "the file is empty"
    }
    seen = Unreadable()
    for batch in batches:
        seen.add("training", batch)
    assert (seen.reasons, seen.readable) == (
        {("training", 2): "the file is empty"},
        {"training": 3},
    )


def test_a_change_of_any_image_is_a_change_of_its_product(table: Table, tmp_path: Path) -> None:
    write_record(tmp_path / "data.parquet", record(table))
    assert changes(tmp_path / "data.parquet", record(table)) == []
    (table.images.folder / "000003.png").write_bytes(b"shorter")
    assert changes(tmp_path / "data.parquet", record(table)) == [
        "1 image has another size in bytes (id b)"
    ]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn products in pairs: the second image of each is that of another product."""
    folder = tmp_path_factory.mktemp("views") / "catalogue"
    synthesize(folder, 24, seed=3, image_size=48, workers=1)
    frame = pl.read_csv(folder / "train.csv", infer_schema=False)
    names = [f"{int(each):06d}.jpg" for each in frame["id"]]
    rolled = [*names[1:], names[0]]
    pairs = enumerate(zip(names, rolled, strict=True))
    images = [f"{one};{two}" if k % 3 else one for k, (one, two) in pairs]
    frame.with_columns(image=pl.Series(images)).write_csv(folder / "train.csv")
    (folder / "images" / rolled[1]).write_bytes(b"no image")
    return folder


def run(catalogue: Path, save_dir: Path, **data: object) -> Result:
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    config = TrainConfig(
        DataConfig(
            *(catalogue / "images", *labels),
            **{"image_column": "image", "augmentation": "none", **loading, **data},
        ),
        ModelConfig("test_vit", "none", image_size=(32, 32), freeze_backbone=True),
        optimizer=OptimizerConfig(epochs=2, batch_size=8),
        run=RunConfig(save_dir, precision="32", accelerator="cpu"),
    )
    with pytest.warns(UserWarning, match="could not be read"):
        result = train(config)
    assert result is not None
    return result


def test_images_features_and_caches_train_alike(catalogue: Path, tmp_path: Path) -> None:
    plain = run(catalogue, tmp_path / "plain")
    lines = (plain.folder / "unreadable.csv").read_text(encoding="utf-8").splitlines()
    assert {row["reason"] for row in csv.DictReader(lines)} == {
        "not a JPEG, PNG, WebP, BMP or GIF image"
    }
    assert len(plain.validation.images) > len(plain.validation)
    features = run(catalogue, tmp_path / "features", feature_cache=tmp_path / "cache")
    cached = run(catalogue, tmp_path / "cached", image_cache=Path("ram"))
    states = [
        torch.load(each.folder / "last.pt", weights_only=True)["weights"]
        for each in (plain, features, cached)
    ]
    for name, weight in states[0].items():
        torch.testing.assert_close(states[1][name], weight, atol=1e-5, rtol=1e-4)
        # Images as small as these are cached as they are.
        assert torch.equal(states[2][name], weight)
