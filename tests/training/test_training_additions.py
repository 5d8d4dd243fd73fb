"""What may be added to a training run, all of it together: a run trains, and resumes bit equal."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from visual_taxonomy.config import (
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.table import Table
from visual_taxonomy.training.mixing import Mixing
from visual_taxonomy.training.parallel import launch
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.setup import build_trainer
from visual_taxonomy.training.trainer import Interrupted, Trainer


@pytest.fixture
def build(table_of: Callable[[int], Table], tmp_path: Path) -> Callable[[str], Trainer]:
    """A function that builds the trainer of a run of that name: 3 epochs of 3 steps."""
    table = table_of(12)

    def named(name: str) -> Trainer:
        config = TrainConfig(
            DataConfig(
                *(tmp_path, tmp_path),
                train_workers=0,
                val_workers=0,
                batch_sampling="balanced",
                randaugment=(2, 9),
                random_erasing=0.5,
                mixup=0.4,
                cutmix=1.0,
            ),
            ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0),
            ObjectiveConfig(method="PCGrad"),
            OptimizerConfig(epochs=3, batch_size=4, probe_first=1),
            RunConfig(tmp_path, name, precision="32", accelerator="cpu"),
        )
        config.run.folder.mkdir(exist_ok=True)
        parallel = launch(config.run)
        parallel.seed(0)
        return build_trainer(config, parallel, Tables(table.taxonomy, table, table))

    return named


def test_a_run_with_all_additions_resumes_bit_equal(
    build: Callable[[str], Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, mixed, mix = build("whole"), [], Mixing.images
    with monkeypatch.context() as patch:
        patch.setattr(Mixing, "images", lambda *given: mixed.append(given) or mix(*given))
        whole.fit()
    assert len(mixed) == 9  # each step, and nothing of validation
    step = Trainer.train_step

    def step_and_interrupt(trainer: Trainer, batch: Batch) -> None:
        step(trainer, batch)
        if trainer.source.step_of_run == 4:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", step_and_interrupt)
        with pytest.raises(Interrupted):
            build("resumed").fit()
    resumed = build("resumed")
    assert resumed.restore()
    assert (resumed.source.epoch, resumed.source.step) == (1, 2)
    resumed.fit()
    expected = whole.model.state_dict()
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, expected[name]), name
