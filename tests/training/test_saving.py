"""What restore says of a last.pt that it cannot go on from; resuming itself is tested elsewhere."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from visual_taxonomy.data.sampler import BatchSampler
from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import BackwardOptions, build_task_weighting
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.batch_source import BatchSource
from visual_taxonomy.training.diagnostics import TaskDiagnostics
from visual_taxonomy.training.optimizer import OptimizerStep
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.recorder import Recorder
from visual_taxonomy.training.run_folder import LAST_NAME
from visual_taxonomy.training.saving import Saver
from visual_taxonomy.training.task_updates import TaskUpdates

STATE = ("source", "objective", "updates", "optimizer", "parallel", "recorder")


@pytest.fixture
def make_run(tmp_path: Path, taxonomy: Taxonomy) -> Callable[..., SimpleNamespace]:
    """A function that makes the parts of a trainer that are saved, as small as can be."""

    def make(method: str = "GradNorm", scales: bool = True) -> SimpleNamespace:
        model = nn.Linear(2, 1)
        sampler = BatchSampler(np.zeros(8, int), 2, "joint", seed=0)
        source = BatchSource(sampler, [], [], nn.Identity())
        source.epoch, source.step = 1, 2
        parallel = Parallel(SimpleNamespace(device=torch.device("cpu"), world_size=1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scaler = torch.amp.GradScaler("cpu", enabled=scales)
        weighting = build_task_weighting(method, taxonomy.task_names)
        parts = {
            "source": source,
            "model": model,
            "objective": nn.Linear(1, 1),
            "updates": TaskUpdates(weighting, BackwardOptions(), [], parallel, 0),
            "optimizer": OptimizerStep(optimizer, OptimizerConfig(), 10, scaler),
            "parallel": parallel,
            "recorder": Recorder(
                TaskDiagnostics(taxonomy.task_names, 1, 1), lambda values, step: None
            ),
        }
        config = TrainConfig(DataConfig(Path("a"), Path("b")), run=RunConfig(tmp_path))
        return SimpleNamespace(parts=parts, saver=Saver(config, taxonomy, ModelConfig(), {}))

    return make


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the training state of a last.pt."""
    content = torch.load(path, weights_only=True)
    change(content["training"])
    torch.save(content, path)


def last_of(run: SimpleNamespace) -> Path:
    run.saver.folder.mkdir(exist_ok=True)
    run.saver.save_last(run.parts, epoch=1)
    return run.saver.folder / LAST_NAME


def test_a_run_goes_on_where_it_was_saved(make_run: Callable[..., SimpleNamespace]) -> None:
    saved = make_run()
    saved.parts["model"](torch.ones(1, 2)).sum().backward()
    saved.parts["optimizer"].optimizer.step()
    path = last_of(saved)
    content = torch.load(path, weights_only=True)
    assert tuple(content["training"]) == (*STATE, "config")
    assert content["weights"].keys() == {"weight", "bias"}
    resumed = make_run()
    resumed.parts["source"].load_state_dict({"epoch": 0, "step": 0})
    assert resumed.saver.restore(resumed.parts)
    assert resumed.parts["source"].state_dict() == {"epoch": 1, "step": 2}
    assert torch.equal(resumed.parts["model"].weight, saved.parts["model"].weight)
    assert resumed.parts["optimizer"].optimizer.state_dict()["state"].keys() == {0, 1}


def test_a_resume_without_a_run_says_where_it_looked(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    folder = re.escape(str(run.saver.folder))
    with pytest.warns(UserWarning, match=rf"^`resume`: {folder}/last\.pt is not there, so the run"):
        assert not run.saver.restore(run.parts)


def test_a_part_of_ones_own_is_saved_and_restored_with_the_others(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    saved, resumed = make_run(), make_run()
    for run in (saved, resumed):
        run.parts["average"] = nn.Linear(1, 1)
    last_of(saved)
    resumed.saver.restore(resumed.parts)
    assert torch.equal(resumed.parts["average"].weight, saved.parts["average"].weight)


@pytest.mark.parametrize("name", STATE)
def test_a_part_that_is_missing_is_named_with_file_and_remedy(
    make_run: Callable[..., SimpleNamespace], name: str
) -> None:
    run = make_run()
    rewrite(last_of(run), lambda state: state.pop(name))
    message = rf"last\.pt lacks {name}: another version of vtax wrote it, .*again \(`over"
    with pytest.raises(InputError, match=message):
        run.saver.restore(run.parts)


def test_all_that_is_missing_inside_of_parts_is_named_and_nothing_is_changed(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    def age(state: dict[str, Any]) -> None:
        del state["parallel"], state["recorder"]["diagnostics"]["means"]["cosines"]
        method = state["updates"]["method"]
        del method["weights"], method["_extra_state"]["record"]["ages"]

    rewrite(last_of(make_run()), age)
    run = make_run()
    before = run.parts["model"].weight.clone()
    names = (
        "updates.method.weights, updates.method._extra_state.record.ages, parallel, "
        "recorder.diagnostics.means.cosines"
    )
    with pytest.raises(InputError, match=rf"last\.pt lacks {names}:"):
        run.saver.restore(run.parts)
    assert torch.equal(run.parts["model"].weight, before)


def test_a_scale_that_a_run_in_another_precision_does_not_have_is_named(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    last_of(make_run(scales=False))
    half = make_run()
    lacks = r"lacks optimizer\.scaler\.scale, .* another `precision`; resume"
    with pytest.raises(InputError, match=lacks):
        half.saver.restore(half.parts)


def test_a_config_that_was_damaged_after_the_start_is_refused(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    path = last_of(run)
    config = run.saver.config
    damaged = replace(config, optimizer=replace(config.optimizer, scratch_lr=9.0))
    saver = replace(run.saver, config=damaged)
    rate = config.optimizer.scratch_lr
    message = rf"`scratch_lr` is 9\.0, but the run in .* has {rate} .*last\.pt\); correct config"
    with pytest.raises(InputError, match=message):
        saver.restore(run.parts)
    rewrite(path, lambda state: state.pop("config"))  # as version 0.1 wrote it
    assert saver.restore(run.parts)


def test_what_a_resumed_run_may_change_it_may_still_change(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    last_of(run)
    config = run.saver.config
    patient = replace(config, optimizer=replace(config.optimizer, patience=99))
    assert replace(run.saver, config=patient).restore(run.parts)


@pytest.mark.parametrize("named", [False, True])
def test_a_checkpoint_remembers_whether_columns_were_named(
    make_run: Callable[..., SimpleNamespace], named: bool
) -> None:
    run = make_run()
    run.saver = replace(run.saver, named_columns=named)
    assert read_checkpoint(last_of(run)).named_columns == named


def test_parts_that_this_version_does_not_have_are_no_hindrance(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run("EW")
    rewrite(last_of(run), lambda state: state.update(later=1))
    assert run.saver.restore(run.parts)


def test_labels_of_another_taxonomy_are_refused(make_run: Callable[..., SimpleNamespace]) -> None:
    run = make_run()
    last_of(run)
    other = replace(run.saver, taxonomy=Taxonomy.from_dict({"a": {"b": ["c", "d"]}}))
    with pytest.raises(InputError, match=r"last\.pt: its taxonomy is not that of the labels"):
        other.restore(run.parts)


def test_only_checkpoints_that_are_missing_at_the_end_are_named(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    folder = last_of(run).parent
    (folder / "best_score.pt").touch()
    missing = r"no best_both\.pt and no best_loss\.pt, only best_score\.pt and last\.pt;"
    with pytest.warns(UserWarning, match=missing):
        run.saver.warn_of_missing()
    for kind in ("both", "loss"):
        (folder / f"best_{kind}.pt").touch()
    run.saver.warn_of_missing()
