"""Cross-validation: folds, what is pooled, and how it resumes."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.config import (
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training import cross_validation
from visual_taxonomy.training.cross_validation import cross_validate
from visual_taxonomy.training.run_folder import CONFIG_NAME, HELD_OUT_LAST_NAME, SPLIT_NAME
from visual_taxonomy.training.train import train
from visual_taxonomy.training.trainer import Interrupted, Trainer


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "catalogue"
    synthesize(folder, 40, seed=2, image_size=32, workers=1)
    return folder


def config_of(catalogue: Path, save_dir: Path, **data: object) -> TrainConfig:
    small = {"embed_dim": 24, "depth": 1, "num_heads": 3}
    return TrainConfig(
        DataConfig(
            catalogue / "images",
            catalogue / "train.csv",
            catalogue / "attrs_config.json",
            train_workers=0,
            val_workers=0,
            **data,  # type: ignore[arg-type]
        ),
        ModelConfig("vit_tiny_patch16_224", "none", small, (32, 32), unlock_block=0),
        optimizer=OptimizerConfig(epochs=2, batch_size=16, patience=1),
        run=RunConfig(save_dir, "cv", precision="32", accelerator="cpu"),
    )


def is_same(one: HeldOut, other: HeldOut) -> bool:
    arrays = ("ids", "groups", "categories", "targets", "probabilities")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)


@pytest.fixture(scope="module")
def finished(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cross-validation with 2 folds; not to be written to."""
    folder = tmp_path_factory.mktemp("cv")
    cross_validate(config_of(catalogue, folder, folds=2))
    return folder / "cv"


def test_every_row_is_held_out_once_by_the_last_epoch(finished: Path) -> None:
    pooled = HeldOut.read(finished / HELD_OUT_NAME)
    folds = [HeldOut.read(finished / f"fold_{k}" / HELD_OUT_LAST_NAME) for k in (0, 1)]
    assert sorted(pooled.ids) == sorted(np.concatenate([fold.ids for fold in folds]))
    lines = (finished / "fold_0" / SPLIT_NAME).read_text().splitlines()
    assert len(pooled) == len(lines) - 1 > len(folds[0])
    for number in (0, 1):  # patience 1 would have ended a run that got worse
        metrics = (finished / f"fold_{number}" / "metrics.csv").read_text().splitlines()
        assert len(metrics) == 3
    assert read_toml(TrainConfig, finished / CONFIG_NAME).data.folds == 2


def test_probabilities_are_those_of_a_softmax(finished: Path) -> None:
    pooled = HeldOut.read(finished / HELD_OUT_NAME)
    heads = list(pooled.heads())
    assert sum(len(head.labels) for head in heads) == int((pooled.targets >= 0).sum())
    sums = pooled.probabilities.sum(axis=2)
    slots = np.array([len(slots) for slots in pooled.taxonomy.slots])[pooled.categories]
    has_slot = np.arange(sums.shape[1]) < slots[:, None]
    np.testing.assert_allclose(sums, has_slot, atol=1e-6)


def test_called_again_it_trains_nothing(
    finished: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_validation, "train", None)
    again = cross_validate(config_of(catalogue, finished.parent, folds=2))
    assert again is not None
    assert is_same(again, HeldOut.read(finished / HELD_OUT_NAME))


def test_interrupted_and_resumed_it_pools_the_same(
    finished: Path, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, steps = Trainer.train_step, []

    def step_and_interrupt(trainer: Trainer, batch: Batch) -> None:
        step(trainer, batch)
        steps.append(trainer.config.run.run_name)
        if len(steps) in (1, 5):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "train_step", step_and_interrupt)
    config = config_of(catalogue, tmp_path, folds=2)
    for _ in range(2):
        with pytest.raises(Interrupted):
            cross_validate(config)
    again = cross_validate(config)
    assert set(steps) == {"fold_0", "fold_1"}
    assert again is not None
    assert is_same(again, HeldOut.read(finished / HELD_OUT_NAME))


def test_a_fold_is_the_run_of_train_with_that_fold(
    finished: Path, catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(catalogue, tmp_path, folds=2, fold=1)
    config = replace(config, optimizer=replace(config.optimizer, patience=2))
    train(config)
    alone = HeldOut.read(tmp_path / "cv" / HELD_OUT_LAST_NAME)
    assert is_same(alone, HeldOut.read(finished / "fold_1" / HELD_OUT_LAST_NAME))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: replace(c, optimizer=replace(c.optimizer, epochs=3)), "--epochs is 3, but"),
        (lambda c: replace(c, data=replace(c.data, folds=3)), "--folds is 3, but"),
        (lambda c: replace(c, data=replace(c.data, fold=1)), "--fold is for `vtax train`"),
        (
            lambda c: replace(c, run=replace(c.run, overwrite=True)),
            "--overwrite: `vtax cross-validate` replaces nothing",
        ),
    ],
)
def test_another_cross_validation_is_not_mixed_in(
    change: object, message: str, finished: Path, catalogue: Path
) -> None:
    config = config_of(catalogue, finished.parent, folds=2)
    with pytest.raises(InputError, match=message):
        cross_validate(change(config))  # type: ignore[operator]


def test_changed_labels_are_noticed_in_finished_folds(
    finished: Path, catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(catalogue, finished.parent, folds=2)
    lines = config.data.csv_path.read_text().splitlines()
    changed = tmp_path / "train.csv"
    changed.write_text("\n".join(lines[:-1]) + "\n")
    other = replace(config, data=replace(config.data, csv_path=changed))
    with pytest.raises(InputError, match=r"1 (row|product)"):
        cross_validate(other)


def test_train_wants_to_know_the_fold(catalogue: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--folds 2 needs --fold"):
        train(config_of(catalogue, tmp_path, folds=2))
