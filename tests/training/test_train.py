"""The training loop with every loss, schedule and weighting method, on a drawn catalogue."""

import csv
import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
from visual_taxonomy.config import (
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import Report
from visual_taxonomy.losses import LOSSES
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.task_weighting import TASK_WEIGHTINGS
from visual_taxonomy.training import run_folder, saving
from visual_taxonomy.training import train as whole_run
from visual_taxonomy.training import trainer as trainer_module
from visual_taxonomy.training.diagnostics import DIAGNOSTICS_NAME
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.records import KINDS
from visual_taxonomy.training.setup import build_trainer
from visual_taxonomy.training.trackers import Trackers
from visual_taxonomy.training.train import Result, train
from visual_taxonomy.training.trainer import Interrupted, Trainer
from visual_taxonomy.training.validation import Validation

PAIRS = [(loss, rule) for loss in LOSSES for rule in CLASS_WEIGHTINGS]


@pytest.fixture(scope="session")
def small_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images: most tasks are missing from most batches."""
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
    result = train(config)
    assert result is not None
    return result


def weights(result: Result) -> dict[str, torch.Tensor]:
    return torch.load(result.folder / "last.pt", weights_only=True)["weights"]


@pytest.mark.filterwarnings("ignore:`loss_type=.* weights rare classes itself")
@pytest.mark.parametrize(("loss", "rule"), PAIRS)
def test_every_loss_trains_with_every_schedule(
    loss: str, rule: str, small_catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(small_catalogue, tmp_path, loss_type=loss, train_rule=rule, ib_start_epoch=0)
    result = run(replace(config, optimizer=replace(config.optimizer, epochs=1)))
    assert math.isfinite(result.history[0]["train_loss"])
    assert math.isfinite(result.history[0]["val_loss"])
    assert all(torch.isfinite(weight).all() for weight in weights(result).values())


@pytest.mark.parametrize(("seconds", "saves"), [(0.0, [1, 2, 3]), (3600.0, [3])])
def test_short_epochs_share_a_save_and_the_last_one_is_saved(
    seconds: float,
    saves: list[int],
    small_catalogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(Trainer, "save", lambda trainer: seen.append(trainer.source.epoch))
    monkeypatch.setattr(trainer_module, "_SECONDS_BETWEEN_SAVES", seconds)
    config = config_of(small_catalogue, tmp_path)
    run(replace(config, optimizer=replace(config.optimizer, epochs=3)))
    assert seen == saves


@pytest.mark.parametrize("method", TASK_WEIGHTINGS)
def test_every_method_trains_and_resumes_bit_equal(
    method: str, small_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(config_of(small_catalogue, tmp_path / "whole", method=method))
    assert [math.isfinite(row["train_loss"]) for row in whole.history] == [True, True]

    step = Trainer.train_step

    def step_and_interrupt(trainer: Trainer, batch: Batch) -> None:
        step(trainer, batch)
        if trainer.source.step_of_run == 2:
            signal.raise_signal(signal.SIGINT)

    config = config_of(small_catalogue, tmp_path / "resumed", method=method)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", step_and_interrupt)
        with pytest.raises(Interrupted):
            run(config)
    resumed = run(replace(config, run=replace(config.run, resume=True)))
    expected = weights(whole)
    for name, weight in weights(resumed).items():
        assert torch.equal(weight, expected[name]), name
    tables = [result.folder / DIAGNOSTICS_NAME for result in (resumed, whole)]
    assert tables[0].read_text() == tables[1].read_text()


def test_from_a_cache_no_image_is_read_again(
    small_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_and_remove(config: TrainConfig, *rest: object, **more: object) -> Trainer:
        built = build_trainer(config, *rest, **more)
        shutil.rmtree(config.data.img_dir)
        return built

    monkeypatch.setattr(whole_run, "build_trainer", build_and_remove)
    results = []
    for number, place in enumerate((tmp_path / "cache", tmp_path / "cache", Path("ram"))):
        catalogue = tmp_path / "catalogue"
        shutil.copytree(small_catalogue, catalogue, dirs_exist_ok=True)
        config = config_of(catalogue, tmp_path / str(number))
        results.append(run(replace(config, data=replace(config.data, image_cache=place))))
    expected = weights(results[0])
    for result in results:
        assert len(result.history) == 2
        assert all(torch.equal(weight, expected[name]) for name, weight in weights(result).items())


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_save(
    small_catalogue: Path, tmp_path: Path
) -> None:
    config = config_of(small_catalogue, tmp_path)
    config = replace(config, optimizer=replace(config.optimizer, scratch_lr=1e30, clip_norm=1e30))
    with pytest.raises(InputError, match=r"step \d+: the (loss|gradient) of .* at learning rate"):
        run(config)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_loss_of_a_later_epoch_that_is_not_finite_stops_the_run_too(
    resumed: bool, small_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(small_catalogue, tmp_path, method="none")
    if resumed:
        run(replace(config, optimizer=replace(config.optimizer, epochs=1)))
        for module in (run_folder, saving):  # of the epochs
            monkeypatch.setattr(module, "check_unchanged", lambda *_: None)
        config = replace(config, run=replace(config.run, resume=True))
    compute = Objective.forward
    worsen = {0: 1.0, 1: math.nan}
    monkeypatch.setattr(
        Objective,
        "forward",
        lambda self, *of: {k: v * worsen[self.epoch] for k, v in compute(self, *of).items()},
    )
    with pytest.raises(InputError, match=r"step 4: the loss of .* is nan at learning rate"):
        run(config)


@pytest.fixture
def validate_as(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the validation losses of each epoch are multiplied by."""
    compute = Objective.validation_losses

    def multiply(*factors: float) -> None:
        def losses(self: Objective, *of: object) -> dict[str, torch.Tensor]:
            return {name: loss * factors[self.epoch] for name, loss in compute(self, *of).items()}

        monkeypatch.setattr(Objective, "validation_losses", losses)

    return multiply


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_after_a_validation_loss_that_is_not_finite_the_next_earns_all(
    value: float,
    small_catalogue: Path,
    tmp_path: Path,
    validate_as: Callable[..., None],
) -> None:
    validate_as(value, 1.0)
    config = config_of(small_catalogue, tmp_path)
    message = f"^epoch 1: the validation loss is {value}, so neither best_both"
    with pytest.warns(UserWarning, match=message) as caught:
        result = run(config)
    assert len(caught) == 1
    assert [math.isfinite(row["val_loss"]) for row in result.history] == [False, True]
    earned = torch.load(result.folder / "best_loss.pt", weights_only=True)
    assert earned["epoch"] == 1
    assert earned["metrics"]["val_loss"] == result.history[1]["val_loss"]
    best = torch.load(result.folder / "best_score.pt", weights_only=True)
    improved = result.history[1]["hm"] > result.history[0]["hm"]
    assert best["epoch"] == int(improved)
    assert (result.folder / "best_both.pt").exists()


def test_a_run_without_any_finite_validation_loss_says_what_is_missing(
    small_catalogue: Path, tmp_path: Path, validate_as: Callable[..., None]
) -> None:
    validate_as(math.nan, math.nan)
    missing = r"no best_both\.pt and no best_loss\.pt, only best_score\.pt and last\.pt;"
    with pytest.warns(UserWarning, match=rf"^epoch [12]: .* is nan|{missing}") as caught:
        result = run(config_of(small_catalogue, tmp_path))
    *each, last = [str(warning.message) for warning in caught]
    assert [text.split(":")[0] for text in each] == ["epoch 1", "epoch 2"]
    assert "no epoch had a finite validation loss" in last
    names = {path.name for path in result.folder.glob("*.pt")}
    assert names == {"best_score.pt", "last.pt"}
    text = (result.folder / "score_detailed_metrics.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["val_loss"] is None


def test_patience_ends_a_run_that_does_not_improve(small_catalogue: Path, tmp_path: Path) -> None:
    config = config_of(small_catalogue, tmp_path)
    still = replace(config.optimizer, epochs=9, patience=2, scratch_lr=0.0, pretrained_lr=0.0)
    model = replace(config.model, batch_norm=False)
    assert len(run(replace(config, optimizer=still, model=model)).history) == 3


def test_epochs_without_any_label_in_a_batch_go_on(small_catalogue: Path, tmp_path: Path) -> None:
    config = config_of(small_catalogue, tmp_path)
    config = replace(config, optimizer=replace(config.optimizer, batch_size=1, epochs=1))
    assert math.isfinite(run(config).history[0]["train_loss"])


@pytest.mark.parametrize("method", ["none", "UW", "PCGrad", "MoCo", "GradDrop"])
def test_a_run_reports_weights_norms_and_conflicts_whatever_the_method(
    method: str,
    small_catalogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[tuple[int, dict[str, float]]] = []
    monkeypatch.setattr(Trackers, "log", lambda _, values, step: logged.append((step, values)))
    config = config_of(small_catalogue, tmp_path, method=method)
    result = run(replace(config, run=replace(config.run, log_every=2)))
    assert all(0 <= row["conflict_share"] <= 1 for row in result.history)
    text = (result.folder / DIAGNOSTICS_NAME).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["epoch"] for row in rows} == {"0", "1"}
    assert len(rows) == 2 * len(result.validation.taxonomy.tasks)
    known = [row for row in rows if row["weight"]]
    assert len(known) > len(rows) / 2
    norms = [float(row["gradient_norm"]) for row in known if row["gradient_norm"]]
    assert norms
    assert all(math.isfinite(norm) for norm in norms)
    if method in ("none", "GradDrop"):
        assert {row["weight"] for row in known} == {"1.0"}
    steps = [step for step, values in logged if any(key.startswith("weight/") for key in values)]
    assert steps == [0, 2, 4, 6]
    cosines = result.cosines.numpy()
    assert (np.abs(cosines[~np.isnan(cosines)]) <= 1 + 1e-9).all()


def test_reused_weights_are_watched_when_they_are_found_anew(
    small_catalogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[dict[str, float]] = []
    monkeypatch.setattr(Trackers, "log", lambda _, values, step: logged.append(values))
    config = config_of(small_catalogue, tmp_path, method="PCGrad", update_weights_every=3)
    run(replace(config, run=replace(config.run, log_every=2)))
    watched = [v for v in logged if any(key.startswith("weight/") for key in v)]
    assert watched
    assert all(any(key.startswith("gradient_norm/") for key in values) for values in watched)


def spoil_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Let an epoch be validated as if it had got nothing right."""
    judge = Trainer.validate

    def validate(trainer: Trainer) -> Validation:
        found = judge(trainer)
        if trainer.source.epoch != epoch:
            return found
        wrong = found.report.to_dict()
        for category in wrong["categories"].values():
            for attribute in category["attributes"].values():
                for scores in attribute["classes"].values():
                    scores["correct"] = 0
        return found._replace(report=Report.from_dict(wrong))

    monkeypatch.setattr(Trainer, "validate", validate)


def test_the_result_is_that_of_the_recommended_checkpoint(
    small_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_epoch(monkeypatch, epoch=1)
    config = config_of(small_catalogue, tmp_path)
    result = run(config)
    assert result.history[1]["hm"] == 0 < result.history[0]["hm"]
    assert (result.epoch, result.report.hm) == (0, result.history[0]["hm"])
    kept = torch.load(result.folder / "best_score.pt", weights_only=True)["metrics"]
    assert result.report == Report.from_dict(kept)
    again = run(replace(config, run=replace(config.run, resume=True)))
    assert (again.epoch, again.report) == (result.epoch, result.report)


def test_checkpoints_of_one_epoch_are_one_file(
    small_catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(small_catalogue, tmp_path / "linked")
    config = replace(config, optimizer=replace(config.optimizer, epochs=1))
    names = [f"best_{kind}.pt" for kind in KINDS]
    linked = run(config).folder
    assert len({(linked / name).stat().st_ino for name in names}) == 1

    def refuse(*_: object) -> None:
        raise OSError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    copied = run(replace(config, run=replace(config.run, save_dir=tmp_path / "copied"))).folder
    assert len({(copied / name).stat().st_ino for name in names}) == 3
    assert len({(copied / name).read_bytes() for name in names}) == 1


def test_every_task_with_a_label_has_a_weight_in_every_epoch(
    small_catalogue: Path, tmp_path: Path
) -> None:
    result = run(config_of(small_catalogue, tmp_path, method="UW"))  # 4 steps, one is watched
    text = (result.folder / DIAGNOSTICS_NAME).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    labelled = {task for task, counts in result.class_counts.items() if sum(counts)}
    assert labelled
    for epoch in ("0", "1"):
        known = {row["task"] for row in rows if row["epoch"] == epoch and row["weight"]}
        assert known == labelled


def test_a_run_that_ends_far_off_says_so(
    small_catalogue: Path, tmp_path: Path, validate_as: Callable[..., None]
) -> None:
    validate_as(1.0, 1e9)
    message = r"^the run has diverged: .* in epoch 2, .* at best \(epoch 1\); lower `scratch_lr`"
    with pytest.warns(UserWarning, match=message):
        run(config_of(small_catalogue, tmp_path))


@pytest.mark.parametrize("save_every", [1, 200])
def test_with_all_images_unreadable_there_is_no_checkpoint(
    save_every: int, small_catalogue: Path, tmp_path: Path
) -> None:
    catalogue = tmp_path / "catalogue"
    shutil.copytree(small_catalogue, catalogue)
    for path in (catalogue / "images").iterdir():
        path.write_bytes(b"")
    config = config_of(catalogue, tmp_path / "out")
    with pytest.raises(InputError, match=r"no image of the training rows .* \(the file is empty"):
        run(replace(config, run=replace(config.run, save_every=save_every)))
    assert not (tmp_path / "out").exists()


def test_a_run_writes_nothing_that_overwriting_would_forget(
    small_catalogue: Path, tmp_path: Path
) -> None:
    folder = run(config_of(small_catalogue, tmp_path)).folder
    names = [path.name for path in folder.iterdir()]
    assert run_folder._written(folder) == sorted(names)
