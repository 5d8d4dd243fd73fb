"""The hooks of the trainer; what a run leaves is tested in test_train.py."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from visual_taxonomy.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.optimizer import Groups
from visual_taxonomy.training.recorder import EpochEnd
from visual_taxonomy.training.train import train
from visual_taxonomy.training.trainer import Trainer


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hooks") / "catalogue"
    synthesize(folder, 30, seed=3, image_size=48, workers=1)
    return folder


@pytest.fixture
def config(catalogue: Path, tmp_path: Path) -> TrainConfig:
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    return TrainConfig(
        DataConfig(catalogue / "images", *labels, **loading),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0),
        optimizer=OptimizerConfig(epochs=3, batch_size=16),
        run=RunConfig(tmp_path / "runs", precision="32", accelerator="cpu"),
    )


def test_a_callback_sees_every_epoch_with_scores_answers_and_files(config: TrainConfig) -> None:
    seen: list[EpochEnd] = []

    def look(trainer: Trainer, ended: EpochEnd) -> None:
        seen.append(ended)
        lines = (config.run.folder / "metrics.csv").read_text().splitlines()
        assert len(lines) == 1 + len(seen)
        assert trainer.source.epoch == len(seen)

    result = train(config, callbacks=[look])
    assert [ended.epoch for ended in seen] == [0, 1, 2]
    assert [ended.row["hm"] for ended in seen] == [row["hm"] for row in result.history]
    assert seen[0].earned == ("both", "score", "loss")
    table, last = result.validation, seen[-1].validation
    assert last.predicted.shape == table.targets.shape
    known = table.targets >= 0
    assert (last.predicted[known] >= 0).all()
    assert seen[result.epoch].validation.report == result.report


def test_a_callback_can_end_the_run_early(config: TrainConfig) -> None:
    def prune(trainer: Trainer, ended: EpochEnd) -> None:
        if ended.epoch == 1:
            trainer.stop()

    result = train(config, callbacks=[prune])
    assert len(result.history) == 2
    content = torch.load(result.folder / "last.pt", weights_only=True)
    assert content["training"]["source"] == {"epoch": 2, "step": 0}


def test_callbacks_that_only_look_change_no_weight(config: TrainConfig) -> None:
    weights = []
    for name, callbacks in (("plain", []), ("watched", [lambda trainer, ended: None] * 2)):
        named = replace(config, run=replace(config.run, run_name=name))
        result = train(named, callbacks=callbacks)
        weights.append(torch.load(result.folder / "last.pt", weights_only=True)["weights"])
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())


def test_another_optimizer_trains_without_a_change_of_the_trainer(config: TrainConfig) -> None:
    made: list[torch.optim.Optimizer] = []

    def sgd(groups: Groups) -> torch.optim.Optimizer:
        made.append(torch.optim.SGD(groups, momentum=0.9, nesterov=True))
        return made[0]

    rates: list[list[float]] = []

    def look(trainer: Trainer, ended: EpochEnd) -> None:
        rates.append([group["lr"] for group in trainer.optimizer.optimizer.param_groups])

    result = train(config, callbacks=[look], make_optimizer=sgd)
    state = torch.load(result.folder / "last.pt", weights_only=True)["training"]["optimizer"]
    buffers = [entry["momentum_buffer"] for entry in state["optimizer"]["state"].values()]
    assert buffers
    assert all(buffer.isfinite().all() for buffer in buffers)
    assert np.all(np.diff(rates, axis=0)[1:] < 0)  # the schedule moves the rates of its groups


def test_an_error_of_a_callback_ends_the_run_with_that_error(config: TrainConfig) -> None:
    def fail(trainer: Trainer, ended: EpochEnd) -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        train(config, callbacks=[fail])
