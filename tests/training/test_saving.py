"""What restore says of a last.pt that it cannot go on from; resuming itself is tested elsewhere."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting import build_task_weighting
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.diagnostics import TaskDiagnostics
from visual_taxonomy.training.run_folder import LAST_NAME
from visual_taxonomy.training.saving import restore, save_last, warn_of_missing
from visual_taxonomy.training.setup import Position

STATE = (
    *("epoch", "step", "records", "history", "loss_sums", "loss_entries", "diagnostics"),
    *("optimizer", "scaler", "method", "objective", "random", "device_random", "generator"),
)


@pytest.fixture
def make_run(tmp_path: Path, taxonomy: Taxonomy) -> Callable[..., SimpleNamespace]:
    """A function that makes the parts of a run that are saved, as small as can be."""

    def make(method: str = "GradNorm") -> SimpleNamespace:
        model = nn.Linear(2, 1)
        return SimpleNamespace(
            config=TrainConfig(DataConfig(Path("a"), Path("b")), run=RunConfig(tmp_path)),
            fabric=SimpleNamespace(is_global_zero=True),
            tables=SimpleNamespace(taxonomy=taxonomy, training=SimpleNamespace(named_columns=())),
            device=torch.device("cpu"),
            model=model,
            model_config=ModelConfig(),
            class_counts={},
            objective=nn.Linear(1, 1),
            method=build_task_weighting(method, taxonomy.task_names),
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
            scaler=torch.amp.GradScaler("cpu"),
            generator=torch.Generator(),
            diagnostics=TaskDiagnostics(taxonomy.task_names, 1, 1),
            position=Position(epoch=1, step=2),
            on_saved=lambda: None,
        )

    return make


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the training state of a last.pt."""
    content = torch.load(path, weights_only=True)
    change(content["training"])
    torch.save(content, path)


def last_of(run: SimpleNamespace) -> Path:
    folder = run.config.run.folder
    folder.mkdir(exist_ok=True)
    save_last(run)
    return folder / LAST_NAME


def test_a_run_goes_on_where_it_was_saved(make_run: Callable[..., SimpleNamespace]) -> None:
    saved, said = make_run(), []
    saved.model(torch.ones(1, 2)).sum().backward()
    saved.optimizer.step()
    path = last_of(saved)
    assert tuple(torch.load(path, weights_only=True)["training"]) == (*STATE, "config")
    resumed = make_run()
    resumed.position = Position()
    restore(resumed, said.append)
    assert said == ["going on from epoch 2, step 2"]
    assert resumed.position == saved.position
    assert torch.equal(resumed.model.weight, saved.model.weight)
    assert resumed.optimizer.state_dict()["state"].keys() == {0, 1}


@pytest.mark.parametrize("name", STATE)
def test_a_part_that_is_missing_is_named_with_file_and_remedy(
    make_run: Callable[..., SimpleNamespace], name: str
) -> None:
    run = make_run()
    rewrite(last_of(run), lambda state: state.pop(name))
    message = rf"last\.pt lacks {name}: another version of vtax wrote it, .*anew \(--over"
    with pytest.raises(InputError, match=message):
        restore(run, print)


def test_all_that_is_missing_inside_of_parts_is_named_and_nothing_is_changed(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    def age(state: dict[str, Any]) -> None:
        del state["generator"], state["diagnostics"]["means"]["cosines"], state["method"]["weights"]
        del state["method"]["_extra_state"]["record"]["ages"]

    rewrite(last_of(make_run()), age)
    run = make_run()
    before = run.model.weight.clone()
    names = "diagnostics.means.cosines, method.weights, method._extra_state.record.ages, generator"
    with pytest.raises(InputError, match=rf"last\.pt lacks {names}:"):
        restore(run, print)
    assert torch.equal(run.model.weight, before)


def test_a_scale_that_a_run_in_another_precision_does_not_have_is_named(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    full, half = make_run(), make_run()
    full.scaler = torch.amp.GradScaler("cpu", enabled=False)
    last_of(full)
    with pytest.raises(InputError, match=r"lacks scaler\.scale, .* another --precision; resume"):
        restore(half, print)


def test_a_config_that_was_damaged_after_the_start_is_refused(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    path = last_of(run)
    rate = run.config.optimizer.scratch_lr
    run.config = replace(run.config, optimizer=replace(run.config.optimizer, scratch_lr=9.0))
    message = rf"--scratch_lr is 9\.0, but the run in .* has {rate} .*last\.pt\); correct config"
    with pytest.raises(InputError, match=message):
        restore(run, print)
    rewrite(path, lambda state: state.pop("config"))  # as version 0.1 wrote it
    restore(run, print)


def test_what_a_resumed_run_may_change_it_may_still_change(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    last_of(run)
    run.config = replace(run.config, optimizer=replace(run.config.optimizer, patience=99))
    said: list[str] = []
    restore(run, said.append)
    assert said


def test_parts_that_this_version_does_not_have_are_no_hindrance(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run, said = make_run("EW"), []
    rewrite(last_of(run), lambda state: state.update(later=1))
    restore(run, said.append)
    assert said


def test_only_checkpoints_that_are_missing_at_the_end_are_named(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run = make_run()
    folder = last_of(run).parent
    (folder / "best_score.pt").touch()
    missing = r"no best_both\.pt and no best_loss\.pt, only best_score\.pt and last\.pt;"
    with pytest.warns(UserWarning, match=missing):
        warn_of_missing(run)
    for kind in ("both", "loss"):
        (folder / f"best_{kind}.pt").touch()
    warn_of_missing(run)


@pytest.mark.parametrize("columns", [(), ("color", "border")])
def test_a_checkpoint_remembers_whether_columns_were_named(
    make_run: Callable[..., SimpleNamespace], columns: tuple[str, ...]
) -> None:
    run = make_run()
    run.tables.training.named_columns = columns
    save_last(run)
    assert read_checkpoint(last_of(run)).named_columns == bool(columns)


def test_a_resume_without_a_run_says_where_it_looked(
    make_run: Callable[..., SimpleNamespace],
) -> None:
    run, said = make_run(), []
    folder = re.escape(str(run.config.run.folder))
    with pytest.warns(UserWarning, match=rf"^--resume: {folder}/last\.pt is not there, so the run"):
        restore(run, said.append)
    assert said == []
