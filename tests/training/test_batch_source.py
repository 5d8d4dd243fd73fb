from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from visual_taxonomy.config import DataConfig, TrainConfig
from visual_taxonomy.data.sampler import BatchSampler, Draw
from visual_taxonomy.errors import InputError
from visual_taxonomy.preprocessing import Preprocessing
from visual_taxonomy.progress import SILENT
from visual_taxonomy.training.batch_source import BatchSource, images_of
from visual_taxonomy.training.feature_cache import FeatureBatches

HALF = (0.5, 0.5, 0.5)


@pytest.fixture
def source(table_of) -> BatchSource:
    """Five batches of two rows."""
    table = table_of(10)
    sampler = BatchSampler(table.categories, 2, "joint", seed=0)
    return BatchSource(
        sampler, FeatureBatches(torch.randn(1, 10, 3), table, sampler), [], nn.Identity()
    )


def rows_of(source: BatchSource) -> list[list[int]]:
    return [batch.rows.tolist() for batch in source.rest_of_epoch()]


def test_an_epoch_has_every_row_once_and_the_next_one_another_order(source):
    first = rows_of(source)
    source.start_next_epoch()
    second = rows_of(source)
    assert len(first) == len(source) == 5
    for epoch in (first, second):
        assert sorted(row for rows in epoch for row in rows) == list(range(10))
    assert first != second


def test_a_source_goes_on_where_its_state_was_taken(source):
    whole = rows_of(source)
    for _ in range(3):
        source.advance()
    assert not source.is_epoch_over
    state = source.state_dict()
    source.start_next_epoch()
    assert (source.epoch, source.step, source.step_of_run) == (1, 0, 5)
    source.load_state_dict(state)
    assert source.step_of_run == 3
    assert rows_of(source) == whole[3:]
    for _ in range(2):
        source.advance()
    assert source.is_epoch_over


def test_only_training_images_are_augmented(table_of, tmp_path):
    table = table_of(2)
    data = DataConfig(tmp_path, tmp_path, augmentation="none", randaugment=(2, 20))
    plain = TrainConfig(replace(data, randaugment=None, random_erasing=0.0))
    parallel, size = SimpleNamespace(num_machines=1), Preprocessing((16, 16), HALF, HALF)
    for added in (data, replace(data, randaugment=None, random_erasing=1.0)):
        parts = (TrainConfig(added), table, size, parallel, SILENT)
        expected, validation, training = (
            images[Draw(0, 0)].images
            for images in (
                images_of(plain, *parts[1:], is_augmented=True),
                images_of(*parts),
                images_of(*parts, is_augmented=True),
            )
        )
        assert torch.equal(validation, expected)
        assert not torch.equal(training, expected)


def test_images_in_memory_are_refused_for_several_machines(table_of, tmp_path):
    config = TrainConfig(DataConfig(tmp_path, tmp_path, image_cache=Path("ram")))
    parallel = SimpleNamespace(num_machines=2)
    with pytest.raises(InputError, match="`image_cache=ram` is for one machine; name a folder"):
        images_of(config, table_of(1), Preprocessing((8, 8), HALF, HALF), parallel, SILENT)
