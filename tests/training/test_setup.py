from dataclasses import replace

import pytest
import torch

from visual_taxonomy.config import DataConfig, ModelConfig, ObjectiveConfig, RunConfig, TrainConfig
from visual_taxonomy.data.dataset import batches_in_order
from visual_taxonomy.errors import InputError
from visual_taxonomy.training.batch_source import BatchSource, make_sampler
from visual_taxonomy.training.feature_cache import FeatureBatches
from visual_taxonomy.training.parallel import launch
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.setup import Hooks, build_trainer


@pytest.fixture
def config(tmp_path) -> TrainConfig:
    return TrainConfig(
        DataConfig(tmp_path, tmp_path, train_workers=0, val_workers=0),
        ModelConfig("test_vit", "none", image_size=(32, 32), unlock_block=0),
        run=RunConfig(tmp_path, precision="32", accelerator="cpu"),
    )


@pytest.fixture
def tables(table_of, taxonomy) -> Tables:
    table = table_of(8)
    return Tables(taxonomy, table, table)


@pytest.fixture
def parallel(config):
    return launch(config.run)


class Lines:
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_the_source_of_the_batches_is_chosen_when_the_trainer_is_built(config, tables, parallel):
    class Halves(torch.nn.Module):
        def forward(self, features):
            return features / 2

    def make(config, tables, model, parallel, reporter):
        sampler = make_sampler(config, tables, parallel)
        features = torch.randn(1, 8, model.encoder.backbone.width)
        return BatchSource(
            sampler,
            FeatureBatches(features, tables.training, sampler),
            FeatureBatches(features, tables.validation, batches_in_order(8, 4)),
            Halves(),
        )

    trainer = build_trainer(config, parallel, tables, hooks=Hooks(make_source=make))
    (batch,) = list(trainer.source.rest_of_epoch())[:1]
    features, _ = trainer.model(batch.images, batch.categories, None)
    assert torch.equal(features, batch.images / 2)
    assert trainer.validate().predicted.shape == tables.validation.targets.shape


def test_a_part_of_the_trainer_that_has_a_state_is_saved_under_its_name(config, tables, parallel):
    trainer = build_trainer(config, parallel, tables)
    names = ["source", "model", "objective", "updates", "optimizer", "parallel", "recorder"]
    assert list(trainer.parts) == names
    assert set(trainer.source.state_dict()) == {"epoch", "step"}
    assert set(trainer.updates.state_dict()) == {"method", "generator"}
    assert set(trainer.optimizer.state_dict()) == {"optimizer", "scaler"}
    assert set(trainer.parallel.state_dict()) == {"random", "device_random"}


def test_the_model_is_described_in_a_note(config, tables, parallel):
    reporter = Lines()
    build_trainer(config, parallel, tables, reporter)
    (note,) = reporter.notes
    assert note.startswith("test_vit, 32x32 px; trained: ")
    assert note.endswith("float32 on 1 x cpu")


@pytest.mark.parametrize("method", ["none", "EW"])
def test_sums_alone_are_trained_in_float16(config, tables, parallel, method):
    half = replace(config, run=replace(config.run, precision="16"))
    summed = replace(half, objective=ObjectiveConfig(method=method))
    assert build_trainer(summed, parallel, tables).optimizer.scaler is not None
    weighted = replace(half, objective=ObjectiveConfig(method="UW"))
    with pytest.raises(InputError, match="`precision=16` scales the losses, which `method=UW`"):
        build_trainer(weighted, parallel, tables)
