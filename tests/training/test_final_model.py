"""A run on all rows: what it trains on, what it writes, and whose decision it takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
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
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.cross_validation import cross_validate
from visual_taxonomy.training.train import Result, train
from visual_taxonomy.training.trainer import Interrupted, Trainer


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("final") / "catalogue"
    synthesize(folder, 40, seed=3, image_size=32, workers=1)
    return folder


def config_of(catalogue: Path, save_dir: Path, **data: object) -> TrainConfig:
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    return TrainConfig(
        DataConfig(catalogue / "images", *labels, **{**loading, "final": True, **data}),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0),
        optimizer=OptimizerConfig(epochs=3, batch_size=8, patience=1),
        run=RunConfig(save_dir, precision="32", accelerator="cpu"),
    )


def run(config: TrainConfig) -> Result:
    result = train(config)
    assert result is not None
    return result


def test_all_rows_train_for_all_epochs_and_the_last_is_kept(
    catalogue: Path, tmp_path: Path
) -> None:
    result = run(config_of(catalogue, tmp_path))
    assert result.report is None
    assert (len(result.history), result.epoch) == (3, 2)  # patience has nothing to judge by
    assert set(pl.read_csv(result.folder / "split.csv")["split"]) == {"train"}
    assert sum(map(sum, result.class_counts.values())) > 0
    assert {path.name for path in result.folder.glob("*.pt")} == {"final.pt", "last.pt"}
    assert not list(result.folder.glob("held_out*"))
    metrics = pl.read_csv(result.folder / "metrics.csv")
    assert metrics["train_loss"].null_count() == 0
    assert metrics["hm"].null_count() == 3
    final, last = (read_checkpoint(result.folder / name) for name in ("final.pt", "last.pt"))
    assert all(torch.equal(final.weights[name], value) for name, value in last.weights.items())
    assert final.decision is None
    assert not final.training


def test_the_averaged_weights_are_those_that_are_kept(catalogue: Path, tmp_path: Path) -> None:
    config = config_of(catalogue, tmp_path)
    result = run(replace(config, optimizer=replace(config.optimizer, ema_decay=0.9)))
    final, last = (read_checkpoint(result.folder / name) for name in ("final.pt", "last.pt"))
    average = last.training["average"]["weights"]
    assert all(torch.equal(final.weights[name], value) for name, value in average.items())


def test_features_of_a_cache_train_it_too(catalogue: Path, tmp_path: Path) -> None:
    config = config_of(catalogue, tmp_path)
    data = replace(config.data, feature_cache=tmp_path / "features")
    result = run(replace(config, data=data, model=replace(config.model, freeze_backbone=True)))
    assert (result.folder / "final.pt").exists()


def test_test_rows_stay_apart(catalogue: Path, tmp_path: Path) -> None:
    result = run(config_of(catalogue, tmp_path, test_ratio=0.2))
    assert result.test is not None
    assert set(pl.read_csv(result.folder / "split.csv")["split"]) == {"train", "test"}


def test_its_decision_is_that_of_the_held_out_rows_of_the_folds(
    catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(catalogue, tmp_path / "folds", final=False, folds=2)
    pooled = cross_validate(replace(config, optimizer=replace(config.optimizer, epochs=1)))
    assert pooled is not None
    path = config.run.folder / HELD_OUT_NAME
    result = run(config_of(catalogue, tmp_path / "final", decision_from=path))
    final = read_checkpoint(result.folder / "final.pt")
    expected = fit_decision(pooled)
    assert final.decision is not None
    assert final.decision.rule == expected.rule
    assert final.decision.heads == expected.heads
    assert final.decision.fitted_on.source == "the held-out rows of a cross-validation"
    exact = InferenceConfig(workers=0, precision="32", accelerator="cpu")
    assert Predictor.load(result.folder / "final.pt", exact).decision_note == ""


def test_rows_of_another_taxonomy_are_refused_before_the_training(
    catalogue: Path, tmp_path: Path, held_out_of: HeldOut
) -> None:
    held_out_of.write(tmp_path / "other.npz")
    config = config_of(catalogue, tmp_path, decision_from=tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"`decision_from` .*other\.npz: its taxonomy is not"):
        train(config)
    missing = config_of(catalogue, tmp_path, decision_from=tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"none\.npz"):
        train(missing)


@pytest.fixture
def held_out_of() -> HeldOut:
    """A row of a catalogue of one category and attribute."""
    taxonomy = Taxonomy.from_dict({"Hats": {"brim": ["wide", "none"]}})
    one = np.zeros(1, dtype=np.int64)
    shares = np.array([[[0.5, 0.5]]], dtype=np.float32)
    return HeldOut(taxonomy, {"Hats/brim": [1, 1]}, np.array(["1"]), one, one, shares, one[:, None])


def test_it_resumes_bit_equal(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(config_of(catalogue, tmp_path / "whole"))
    step = Trainer.train_step

    def step_and_stop(trainer: Trainer, batch: Batch) -> None:
        step(trainer, batch)
        if trainer.source.step_of_run == 3:
            trainer.source.advance()
            trainer.save()
            raise Interrupted

    config = config_of(catalogue, tmp_path / "resumed")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", step_and_stop)
        with pytest.raises(Interrupted):
            run(config)
    resumed = run(replace(config, run=replace(config.run, resume=True)))
    found, expected = (read_checkpoint(each.folder / "final.pt") for each in (resumed, whole))
    assert all(torch.equal(found.weights[name], each) for name, each in expected.weights.items())


def test_settings_that_contradict_it_are_refused(catalogue: Path, tmp_path: Path) -> None:
    for name, value in (("folds", 2), ("split_path", Path("a")), ("val_csv_path", Path("a"))):
        with pytest.raises(InputError, match=f"`final` and `{name}` both say which rows are for"):
            config_of(catalogue, tmp_path, **{name: value})
    with pytest.raises(InputError, match="`decision_from` is for `final`"):
        config_of(catalogue, tmp_path, final=False, decision_from=Path("a"))
    with pytest.raises(InputError, match="`final` is for `vtax train`"):
        cross_validate(config_of(catalogue, tmp_path))
