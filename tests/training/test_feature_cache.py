"""Training on cached features against training on the images themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from visual_taxonomy.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.data.sampler import FILLER, Draw
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.feature_cache import (
    UNREADABLE,
    FeatureBatches,
    cached_features,
    request_key,
)
from visual_taxonomy.training.feature_file import add_checksums
from visual_taxonomy.training.train import Result, train


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "catalogue"
    synthesize(folder, 30, seed=3, image_size=48, workers=1)
    return folder


def config_of(catalogue: Path, save_dir: Path, **data: object) -> TrainConfig:
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    small = {"embed_dim": 24, "depth": 1, "num_heads": 3}
    return TrainConfig(
        DataConfig(catalogue / "images", *labels, **loading, **data),
        ModelConfig("vit_tiny_patch16_224", "none", small, (32, 32), freeze_backbone=True),
        optimizer=OptimizerConfig(epochs=2, batch_size=8),
        run=RunConfig(save_dir, precision="32", accelerator="cpu"),
    )


def run(config: TrainConfig) -> Result:
    result = train(config)
    assert result is not None
    return result


def weights(result: Result) -> dict[str, torch.Tensor]:
    return torch.load(result.folder / "last.pt", weights_only=True)["weights"]


def scores(result: Result) -> list[tuple[float, float]]:
    return [(row["val_loss"], row["hm"]) for row in result.history]


def test_a_view_for_each_epoch_trains_as_the_images_do(catalogue, tmp_path):
    plain = run(config_of(catalogue, tmp_path / "plain"))
    cache = tmp_path / "cache"
    cached = run(config_of(catalogue, tmp_path / "a", feature_cache=cache, feature_views=2))
    for name, weight in weights(plain).items():
        torch.testing.assert_close(weights(cached)[name], weight, atol=1e-5, rtol=1e-4)
    assert np.allclose(scores(cached), scores(plain), atol=1e-5)


def test_a_second_run_trains_on_what_the_first_one_kept(catalogue, tmp_path):
    config = config_of(catalogue, tmp_path / "first", feature_cache=tmp_path / "cache")
    first = run(config)
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 2
    again = replace(config, run=replace(config.run, save_dir=tmp_path / "second"))
    assert scores(run(again)) == scores(first)
    for file in files:
        np.save(file, np.zeros_like(np.load(file)))
        add_checksums(file)
    altered = replace(config, run=replace(config.run, save_dir=tmp_path / "third"))
    assert scores(run(altered)) != scores(first)
    assert sorted((tmp_path / "cache").iterdir()) == files


def test_rows_without_features_become_rows_without_image(table_of):
    table = table_of(3)
    features = torch.arange(12.0).view(2, 3, 2)
    features[:, 1] = torch.nan
    draws = [Draw(0, 0), Draw(1, 0), Draw(2, 1), Draw(FILLER, 0)]
    (batch,) = FeatureBatches(features, table, [draws])
    assert batch.images.tolist() == [[0, 1], [0, 0], [10, 11], [0, 0]]
    assert batch.categories.tolist() == [table.categories[0], -1, table.categories[2], -1]
    assert batch.targets[0].tolist() == table.targets[0].tolist()
    assert batch.targets[[1, 3]].unique().tolist() == [-1]
    assert batch.rows.tolist() == [0, 1, 2, FILLER]
    assert batch.problems == {1: UNREADABLE}
    assert not features[0, 0].isnan().any()


def test_the_key_changes_with_images_weights_and_preprocessing(table_of, taxonomy):
    table = table_of(2)
    config = ModelConfig(backbone="test_vit", image_size=(32, 48), head="linear")
    encoder = build_classifier(taxonomy, config).encoder
    key = request_key(encoder, config, table, "")
    assert request_key(encoder, config, table, "") == key
    assert request_key(encoder, replace(config, dropout=0.1), table, "") == key
    others = {
        request_key(encoder, config, table, "views 3"),
        request_key(encoder, replace(config, normalization="clip"), table, ""),
        request_key(encoder, config, table.take(np.array([1])), ""),
    }
    with torch.no_grad():
        next(encoder.parameters()).add_(1.0)
    others.add(request_key(encoder, config, table, ""))
    table.path(0).write_bytes(b"another image")
    others.add(request_key(encoder, config, table, ""))
    table.path(0).unlink()
    others.add(request_key(encoder, config, table, ""))
    assert len(others - {key}) == 6


def test_features_are_computed_once_and_a_damaged_file_is_named(tmp_path):
    calls = []

    def compute(view: int) -> torch.Tensor:
        calls.append(view)
        return torch.full((3, 2), float(view))

    for _ in range(2):
        features = cached_features(tmp_path / "cache", "key", 2, compute)
        assert features[:, 0, 0].tolist() == [0.0, 1.0]
    assert calls == [0, 1]
    (tmp_path / "cache" / "key.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(InputError, match=r"key\.npy: damaged .* delete it"):
        cached_features(tmp_path / "cache", "key", 2, compute)


def test_features_of_a_backbone_that_trains_are_refused(catalogue, tmp_path):
    config = config_of(catalogue, tmp_path, feature_cache=tmp_path)
    with pytest.raises(InputError, match="`feature_cache` needs `freeze_backbone`"):
        replace(config, model=replace(config.model, freeze_backbone=False))
    with pytest.raises(InputError, match="`feature_views` needs `feature_cache`"):
        config_of(catalogue, tmp_path, feature_views=2)
