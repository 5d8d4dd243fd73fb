"""The training loop with every loss, schedule and weighting method, on a drawn catalogue."""

import math
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
from visual_taxonomy.config import (
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.synthetic import synthesize
from visual_taxonomy.errors import InputError
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS
from visual_taxonomy.training import loop
from visual_taxonomy.training.loop import Interrupted, Result, train

PAIRS = [(loss, rule) for loss in LOSSES for rule in CLASS_WEIGHTINGS]


@pytest.fixture(scope="session")
def small_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures: most tasks are missing from most batches."""
    folder = tmp_path_factory.mktemp("small") / "catalogue"
    synthesize(folder, 50, seed=2, image_size=48, workers=1)
    return folder


def config_of(catalogue: Path, save_dir: Path, **objective: object) -> TrainConfig:
    small = {"embed_dim": 24, "depth": 1, "num_heads": 3}
    return TrainConfig(
        DataConfig(
            catalogue / "images",
            catalogue / "train.csv",
            catalogue / "attrs_config.json",
            batch_sampling="joint",
            group_duplicates=False,
            train_workers=0,
            val_workers=0,
        ),
        ModelConfig("vit_tiny_patch16_224", "none", small, (32, 32), unlock_block=0),
        ObjectiveConfig(**objective),
        OptimizerConfig(epochs=2, batch_size=8),
        RunConfig(save_dir, precision="32", accelerator="cpu"),
    )


def run(config: TrainConfig) -> Result:
    result = train(config, Console(quiet=True))
    assert result is not None
    return result


def weights(result: Result) -> dict[str, torch.Tensor]:
    return torch.load(result.folder / "last.pt", weights_only=True)["weights"]


@pytest.mark.filterwarnings("ignore:--loss_type .* weights rare classes itself")
@pytest.mark.parametrize(("loss", "rule"), PAIRS)
def test_every_loss_trains_with_every_schedule(
    loss: str, rule: str, small_catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(small_catalogue, tmp_path, loss_type=loss, train_rule=rule, ib_start_epoch=0)
    result = run(replace(config, optimizer=replace(config.optimizer, epochs=1)))
    assert math.isfinite(result.history[0]["train_loss"])
    assert math.isfinite(result.history[0]["val_loss"])
    assert all(torch.isfinite(weight).all() for weight in weights(result).values())


@pytest.mark.parametrize("method", TASK_WEIGHTINGS)
def test_every_method_trains_and_resumes_bit_equal(
    method: str, small_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(config_of(small_catalogue, tmp_path / "whole", method=method))
    assert [math.isfinite(row["train_loss"]) for row in whole.history] == [True, True]

    step = loop.train_step

    def step_and_interrupt(run: object, batch: object, number: int) -> None:
        step(run, batch, number)
        if number == 2:
            signal.raise_signal(signal.SIGINT)

    config = config_of(small_catalogue, tmp_path / "resumed", method=method)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", step_and_interrupt)
        with pytest.raises(Interrupted):
            run(config)
    resumed = run(replace(config, run=replace(config.run, resume=True)))
    expected = weights(whole)
    for name, weight in weights(resumed).items():
        assert torch.equal(weight, expected[name]), name


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_save(
    small_catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(small_catalogue, tmp_path)
    config = replace(config, optimizer=replace(config.optimizer, scratch_lr=1e30, clip_norm=1e30))
    with pytest.raises(InputError, match=r"step \d+: the (loss|gradient) of .* at learning rate"):
        run(config)


def test_patience_ends_a_run_that_does_not_improve(small_catalogue: Path, tmp_path: Path) -> None:
    config = config_of(small_catalogue, tmp_path)
    still = replace(config.optimizer, epochs=9, patience=2, scratch_lr=0.0, pretrained_lr=0.0)
    model = replace(config.model, batch_norm=False)
    assert len(run(replace(config, optimizer=still, model=model)).history) == 3


def test_epochs_without_any_label_in_a_batch_go_on(small_catalogue: Path, tmp_path: Path) -> None:
    config = config_of(small_catalogue, tmp_path)
    config = replace(config, optimizer=replace(config.optimizer, batch_size=1, epochs=1))
    assert math.isfinite(run(config).history[0]["train_loss"])
