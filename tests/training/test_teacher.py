"""Runs with teachers: whom they ask, what they keep, how they resume."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from visual_taxonomy.atomic import write_text
from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import (
    DataConfig,
    InferenceConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.config_values import to_toml
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.progress import SILENT
from visual_taxonomy.synthetic.catalogue import synthesize
from visual_taxonomy.training import teacher as teacher_module
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables, count_classes
from visual_taxonomy.training.teacher import Asking, check_teachers, soft_labels
from visual_taxonomy.training.train import train
from visual_taxonomy.training.trainer import Interrupted, Trainer

Files = tuple[Path, TrainConfig]
ALONE = cast(Parallel, SimpleNamespace(on_first=lambda compute: compute()))


def config_of(catalogue: Path, save_dir: Path, name: str) -> TrainConfig:
    labels = (catalogue / "train.csv", catalogue / "attrs_config.json")
    loading = {"group_duplicates": False, "train_workers": 0, "val_workers": 0}
    return TrainConfig(
        DataConfig(catalogue / "images", *labels, **loading, batch_sampling="joint", final=True),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0, tta="flip"),
        optimizer=OptimizerConfig(epochs=1, batch_size=16),
        run=RunConfig(save_dir, name, precision="32", accelerator="cpu"),
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The folder of a drawn catalogue and a trained teacher, and the config of that."""
    folder = tmp_path_factory.mktemp("teacher")
    synthesize(folder / "catalogue", 30, seed=3, image_size=32, workers=1)
    config = config_of(folder / "catalogue", folder, "teacher")
    train(config)
    return folder, config


def stop_after_a_step(patch: pytest.MonkeyPatch) -> None:
    step = Trainer.train_step

    def step_and_stop(trainer: Trainer, batch: Batch) -> None:
        step(trainer, batch)
        trainer.source.advance()
        trainer.save()
        raise Interrupted

    patch.setattr(Trainer, "train_step", step_and_stop)


def test_with_shared_heads_a_run_keeps_its_teachers_answers_and_resumes_without_them(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, config = files
    best = tmp_path / "best.pt"
    shutil.copyfile(folder / "teacher/final.pt", best)
    shutil.copyfile(folder / "teacher/config.toml", tmp_path / "config.toml")
    taught = replace(config, objective=ObjectiveConfig("LA", teacher=(best, best)))
    # The other addition that has a state of its own, under an average of the weights.
    taught = replace(
        taught,
        model=replace(taught.model, shared_heads=True),
        optimizer=replace(taught.optimizer, ema_decay=0.5),
    )
    whole = replace(taught, run=replace(taught.run, save_dir=tmp_path, run_name="whole"))
    train(whole)
    kept = HeldOut.read(tmp_path / "whole/teacher_1.npz")
    # As the checkpoint predicts, by another way: with flips, and without any decision.
    predictor = Predictor.load(best, InferenceConfig("torch", workers=0, precision="32"))
    images = [folder / "catalogue/images" / f"{int(name):06d}.jpg" for name in kept.ids]
    raw: list[np.ndarray] = []
    list(predictor.score(images.__getitem__, kept.categories, raw.append))
    np.testing.assert_allclose(kept.probabilities, np.concatenate(raw), atol=1e-5)
    stopped = replace(whole, run=replace(whole.run, run_name="stopped"))
    with monkeypatch.context() as patch:
        stop_after_a_step(patch)
        with pytest.raises(Interrupted):
            train(stopped)
    best.unlink()
    train(replace(stopped, run=replace(stopped.run, resume=True)))
    for name in ("last.pt", "final.pt"):
        one, other = (read_checkpoint(tmp_path / run / name) for run in ("whole", "stopped"))
        assert all(torch.equal(other.weights[each], one.weights[each]) for each in one.weights)
        assert one.classifier() is not None  # of plain heads
    assert not any("base" in each for each in one.weights)


def answers_of(table: Table, rows: list[int], share: float) -> HeldOut:
    """Of a two-class task in slot 1, `share` for its first class; nothing in the other slots."""
    probabilities = np.zeros((len(rows), 3, 3), dtype=np.float32)
    probabilities[:, 1, :2] = (share, 1 - share)
    part = table.take(np.array(rows, dtype=np.int64))
    counts = {task.name: [1] * len(task.classes) for task in table.taxonomy.tasks}
    groups = np.arange(len(rows))
    return HeldOut(
        table.taxonomy, counts, part.ids, part.categories, groups, probabilities, part.targets
    )


def asking_of(table: Table, paths: tuple[Path, ...], folder: Path) -> Asking:
    """For rows 0 and 2 of Sarees to train on, and row 4 to validate."""
    config = TrainConfig(
        DataConfig(Path("images"), Path("train.csv")),
        objective=ObjectiveConfig(teacher=paths),
        run=RunConfig(folder, "run"),
    )
    training, validation = table.take(np.array([0, 2])), table.take(np.array([4]))
    objective = Objective(table.taxonomy, count_classes(training), config.objective, 1)
    return Asking(config, Tables(table.taxonomy, training, validation), objective, ALONE, SILENT)


def test_rows_are_found_by_id_and_several_teachers_are_averaged(
    table_of: Callable[[int], Table], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, paths = table_of(6), (tmp_path / "a.npz", tmp_path / "b.npz")
    answers_of(table, [4, 2, 0], 0.9).write(paths[0])
    answers_of(table, [2], 0.5).write(paths[1])
    with caplog.at_level("INFO"):
        logs = soft_labels(asking_of(table, paths, tmp_path)).log_probabilities
    assert logs[0, 1, :2].exp().tolist() == pytest.approx([0.9, 0.1])
    assert logs[1, 1, :2].exp().tolist() == pytest.approx([0.7, 0.3])
    assert logs[:, [0, 2]].isnan().all()
    assert "the teacher answers 2 of 2 training rows, 0 of its answers in holes" in caplog.text
    assert caplog.text.count("hold validation rows of this run too") == 1
    assert "a.npz is taken for one trained with CE and equal class weights" in caplog.text


def test_a_teacher_without_an_answer_is_refused(
    table_of: Callable[[int], Table], tmp_path: Path
) -> None:
    table, path = table_of(6), tmp_path / "a.npz"
    answers_of(table, [4, 1], 0.9).write(path)
    with pytest.raises(InputError, match=r"`teacher` .*a\.npz: no answer for any of the 2 "):
        soft_labels(asking_of(table, (path,), tmp_path))


def test_teachers_that_cannot_teach_are_refused_at_once(files: Files, tmp_path: Path) -> None:
    _, config = files
    other = read_checkpoint(config.run.folder / "final.pt").taxonomy
    renamed = type(other).from_dict({"Hats": {"brim": ["wide", "none"]}})
    taught = replace(config, objective=ObjectiveConfig(teacher=(config.run.folder / "final.pt",)))
    check_teachers(taught, other)
    with pytest.raises(InputError, match=r"`teacher` .*final\.pt: its taxonomy is not that"):
        check_teachers(taught, renamed)
    absent = replace(config, objective=ObjectiveConfig(teacher=(tmp_path / "none.npz",)))
    with pytest.raises(InputError, match="no held-out predictions"):
        check_teachers(absent, other)


@pytest.mark.parametrize(
    ("objective", "corrected"),
    [
        # By hand: LA leaves out prior ** tau, a schedule of weights multiplies by them.
        (ObjectiveConfig("LA", {"tau": 0.5}), lambda q, counts: q * counts**0.5),
        (
            ObjectiveConfig(train_rule="CBReweight", beta=1.0),
            lambda q, counts: q * counts,  # weights 1 / count
        ),
        (ObjectiveConfig(), lambda q, counts: q),
    ],
)
def test_probabilities_get_back_the_prior_that_the_loss_of_the_teacher_left_out(
    objective: ObjectiveConfig, corrected: object, held_out: HeldOut, tmp_path: Path
) -> None:
    config = TrainConfig(DataConfig(Path("images"), Path("train.csv")), objective=objective)
    write_text(tmp_path / "config.toml", to_toml(config))
    found = teacher_module._with_prior(held_out, tmp_path / "held_out.npz", SILENT)
    counts = np.array(held_out.class_counts["Sarees/border"])
    rows = held_out.categories == 0
    expected = corrected(held_out.probabilities[rows, 0].astype(np.float64), counts)  # type: ignore[operator]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.probabilities[rows, 0], expected, atol=2e-6)
    assert not found.probabilities[rows, 2].any()
