"""What `precision=auto` of a training run is taken for, and said of it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from visual_taxonomy import device
from visual_taxonomy.config import DataConfig, RunConfig, TrainConfig
from visual_taxonomy.config_values import to_toml
from visual_taxonomy.processor import Verdict
from visual_taxonomy.training.train import _resolve_precision

PARALLEL = SimpleNamespace(device=torch.device("cpu"), broadcast=lambda value: value)


def resolved(run: RunConfig) -> tuple[str, str]:
    """The precision, and what the user is told."""
    config = TrainConfig(DataConfig(Path("images"), Path("train.csv")), run=run)
    said: list[str] = []
    reporter = SimpleNamespace(note=said.append)
    return _resolve_precision(config, PARALLEL, reporter).run.precision, "".join(said)


@pytest.fixture(autouse=True)
def faster(monkeypatch):
    monkeypatch.setattr(device, "bfloat16_verdict", lambda: Verdict(True, "it is so"))


def test_a_run_says_what_auto_is_and_why(tmp_path):
    assert resolved(RunConfig(tmp_path)) == ("bf16", "precision bf16: it is so")


def test_a_named_precision_needs_no_word(tmp_path):
    assert resolved(RunConfig(tmp_path, precision="32")) == ("32", "")


def test_a_resumed_run_keeps_what_it_had(tmp_path):
    run = RunConfig(tmp_path, precision="32")
    run.folder.mkdir()
    config = TrainConfig(DataConfig(Path("images"), Path("train.csv")), run=run)
    (run.folder / "config.toml").write_text(to_toml(config))
    assert resolved(replace(run, precision="auto", resume=True)) == ("32", "")
