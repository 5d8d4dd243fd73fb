"""The moving average against float64 by hand, torch's AveragedModel and timm's ModelEmaV3."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

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
from visual_taxonomy.decision.held_out import HELD_OUT_NAME, HeldOut
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training.train import Result, train
from visual_taxonomy.training.trainer import Interrupted, Trainer
from visual_taxonomy.training.weight_average import WeightAverage


def steps_of(model: nn.Module, count: int):
    """Moves all parameters and buffers at random."""
    for _ in range(count):
        with torch.no_grad():
            for value in model.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randn(value.shape))
                else:
                    value.add_(1)
        yield


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_the_average_is_that_of_its_formula_in_float64(model):
    average, expected = WeightAverage(model, 0.9), np.zeros((4, 3))
    for step, _ in enumerate(steps_of(model, 120)):
        average.update()
        decay = min(0.9, (1 + step) / (10 + step)) if step else 0.0
        weight = model[0].weight.detach().double().numpy()
        expected = decay * expected + (1 - decay) * weight
    found = average.state_dict()["weights"]["0.weight"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_below_its_warm_up_it_is_the_averaged_model_of_torch(model):
    average = WeightAverage(model, 0.15)
    expected = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.15), use_buffers=True)
    for _ in steps_of(model, 5):
        average.update()
        expected.update_parameters(model)
    with average.applied():
        for name, value in model.named_parameters():
            torch.testing.assert_close(value, expected.module.get_parameter(name))
        for name in ("running_mean", "running_var"):
            found = getattr(model[1], name)
            torch.testing.assert_close(found, getattr(expected.module[1], name))


def test_from_its_second_step_it_is_that_of_timm_counters_copied(model):
    average = WeightAverage(model, 0.15)
    steps = steps_of(model, 4)
    next(steps)
    average.update()
    expected = ModelEmaV3(model, decay=0.15)
    for _ in steps:
        average.update()
        expected.update(model)
    with average.applied():
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, expected.module.state_dict()[name])
        assert model[1].num_batches_tracked == 4


def test_outside_of_the_block_the_weights_are_those_of_training_bit_for_bit(model):
    average = WeightAverage(model, 0.9)
    for _ in steps_of(model, 3):
        average.update()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="within"), average.applied():
        raise RuntimeError("within")
    with average.applied():
        assert not torch.equal(model[0].weight, before["0.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_before_the_first_step_the_average_is_the_model(model):
    before = model[0].weight.clone()
    with WeightAverage(model, 0.9).applied():
        assert torch.equal(model[0].weight, before)


def test_frozen_weights_are_not_held_twice(taxonomy):
    model = build_classifier(taxonomy, ModelConfig("test_vit", image_size=(32, 32)))
    model.encoder.requires_grad_(False)
    names = WeightAverage(model, 0.9).state_dict()["weights"]
    assert not [name for name in names if name.startswith("encoder")]
    assert "heads.norm.running_mean" in names


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("average") / "catalogue"
    synthesize(folder, 40, seed=3, image_size=32, workers=1)
    return folder


def config_of(catalogue: Path, save_dir: Path) -> TrainConfig:
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0, "val_ratio": 0.4}
    return TrainConfig(
        DataConfig(catalogue / "images", *labels, **loading),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0),
        optimizer=OptimizerConfig(epochs=2, batch_size=8, scratch_lr=1e-2, ema_decay=0.9),
        run=RunConfig(save_dir, precision="32", accelerator="cpu"),
    )


def run(config: TrainConfig) -> Result:
    result = train(config)
    assert result is not None
    return result


def test_the_best_checkpoint_has_the_average_and_last_has_both(
    catalogue: Path, tmp_path: Path
) -> None:
    one = OptimizerConfig(epochs=1, batch_size=8, scratch_lr=1e-2)
    config, other = (config_of(catalogue, tmp_path / name) for name in ("average", "plain"))
    result = run(replace(config, optimizer=replace(one, ema_decay=0.9)))
    best = read_checkpoint(result.folder / "best_score.pt")
    last = read_checkpoint(result.folder / "last.pt")
    plain = run(replace(other, optimizer=one))
    kept = read_checkpoint(plain.folder / "last.pt")
    assert "average" not in kept.training
    for name, weight in last.weights.items():  # the average changes no step
        assert torch.equal(weight, kept.weights[name]), name
    average = last.training["average"]["weights"]
    assert all(torch.equal(best.weights[name], value) for name, value in average.items())
    assert any(not torch.equal(last.weights[name], value) for name, value in average.items())
    held_out = HeldOut.read(result.folder / HELD_OUT_NAME)
    exact = InferenceConfig(workers=0, precision="32", accelerator="cpu", decision="argmax")
    predictor = Predictor.load(result.folder / "best_score.pt", exact)
    scores = predictor.predict_table(result.validation)
    found = np.concatenate([each.probabilities for each in scores])
    np.testing.assert_allclose(held_out.probabilities, found, atol=1e-5)


def test_a_run_with_an_average_resumes_bit_equal(
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
    found, expected = (read_checkpoint(each.folder / "last.pt") for each in (resumed, whole))
    assert found.training["average"]["num_steps"] == expected.training["average"]["num_steps"]
    for name, value in expected.training["average"]["weights"].items():
        assert torch.equal(found.training["average"]["weights"][name], value), name
    for name, value in expected.weights.items():
        assert torch.equal(found.weights[name], value), name
