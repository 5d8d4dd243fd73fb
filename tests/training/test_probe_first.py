"""Linear probing, then fine-tuning: what trains when, and at which rate."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from visual_taxonomy.config import (
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.training.interruption import StopRequest
from visual_taxonomy.training.parallel import launch
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.setup import build_trainer
from visual_taxonomy.training.trainer import Trainer


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        DataConfig(tmp_path, tmp_path, train_workers=0, val_workers=0, batch_sampling="joint"),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0, drop_path=0.2),
        optimizer=OptimizerConfig(epochs=3, batch_size=6, probe_first=1, warm_up=0.25),
        run=RunConfig(tmp_path, precision="32", accelerator="cpu"),
    )


@pytest.fixture
def build(table_of: Callable[[int], Table]) -> Callable[[TrainConfig], Trainer]:
    table = table_of(12)

    def make(config: TrainConfig) -> Trainer:
        return build_trainer(config, launch(config.run), Tables(table.taxonomy, table, table))

    return make


def train_epoch(trainer: Trainer) -> dict[str, Tensor]:
    """The weights after the next epoch."""
    trainer._train_epoch(StopRequest(), lambda done, text="": None)
    trainer.source.start_next_epoch()
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


# A method of each kind, as each takes its gradients in another way.
@pytest.mark.parametrize("method", ["none", "UW", "PCGrad", "MoCo", "GradDrop"])
def test_the_heads_train_alone_then_everything(
    method: str, config: TrainConfig, build: Callable[[TrainConfig], Trainer]
) -> None:
    trainer = build(replace(config, objective=ObjectiveConfig(method=method)))
    start = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    probed, tuned = train_epoch(trainer), train_epoch(trainer)
    encoder = {name for name in start if name.startswith("encoder.")}
    assert all(torch.equal(probed[name], start[name]) for name in encoder)
    assert not torch.equal(probed["heads.linear.weights.0"], start["heads.linear.weights.0"])
    assert sum(not torch.equal(tuned[name], start[name]) for name in encoder) > len(encoder) / 2


def test_a_probe_sees_the_features_of_prediction_and_asks_for_no_gradient(
    config: TrainConfig, build: Callable[[TrainConfig], Trainer]
) -> None:
    trainer = build(config)
    (batch, *_) = trainer.source.rest_of_epoch()

    def features() -> Tensor:
        return trainer.model(batch.images, batch.categories, None)[0]

    trainer.model.train(False)
    expected = features().detach()
    trainer.model.is_probing = True
    trainer.model.train()
    assert trainer.model.classifier.heads.training
    assert torch.equal(features(), expected)
    assert not features().requires_grad
    trainer.model.is_probing = False
    trainer.model.train()
    assert features().requires_grad
    assert not torch.equal(features(), expected)  # paths are dropped


def test_each_phase_rises_and_falls_by_a_schedule_of_its_own(
    config: TrainConfig, build: Callable[[TrainConfig], Trainer]
) -> None:
    probed = replace(config, optimizer=replace(config.optimizer, epochs=6, probe_first=2))
    optimizer, factors = build(probed).optimizer, []
    for step in range(12):  # of 2 an epoch: 4 of the probe, 8 behind it
        optimizer.start_step(step)
        factors.append(optimizer.scratch_lr / probed.optimizer.scratch_lr)

    def falling(steps: int) -> list[float]:
        return [(1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]

    assert factors == pytest.approx([1.0, *falling(3), 0.5, 1.0, *falling(6)])


def test_there_must_be_something_left_to_train(config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"`probe_first` must lie in \[0, `epochs` 3\), .* not 3"):
        replace(config.optimizer, probe_first=3)
    with pytest.raises(InputError, match="`probe_first` 1 trains the backbone later, and `freeze_"):
        replace(config, model=replace(config.model, freeze_backbone=True))
