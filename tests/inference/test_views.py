"""Predictions of products of several images."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visual_taxonomy.checkpoint import Checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.inference.image_stamps import ImageStamps
from visual_taxonomy.inference.prediction import Predictor
from visual_taxonomy.inference.prediction_file import request_of, write_predictions
from visual_taxonomy.reporting.gallery import pick_images

STARTS = np.array([0, 2, 3, 7])


@pytest.fixture(params=[1, 2, 3, 16])
def predictor(checkpoint: Checkpoint, request: pytest.FixtureRequest) -> Predictor:
    """Batches that end within a product, between two, or hold all."""
    config = InferenceConfig(
        batch_size=request.param, workers=0, precision="32", accelerator="cpu", decision="argmax"
    )
    return Predictor(checkpoint, config)


@pytest.fixture
def table(table_of: Callable[[int], Table]) -> Table:
    """Three products of two, one and four images."""
    drawn = table_of(7)
    firsts = STARTS[:-1]
    return replace(
        drawn,
        ids=np.array(["a", "b", "c"]),
        categories=drawn.categories[firsts],
        targets=drawn.targets[firsts],
        starts=STARTS,
    )


def shares(predictor: Predictor, table: Table) -> np.ndarray:
    return np.concatenate([scores.probabilities for scores in predictor.predict_table(table)])


def test_answers_are_those_of_the_images_fused(predictor: Predictor, table: Table) -> None:
    of_images = shares(predictor, table.by_image())
    expected = np.stack([of_images[:2].mean(0), of_images[2], of_images[3:].mean(0)])
    assert np.allclose(shares(predictor, table), expected, atol=1e-6)
    rows = [scores.rows.tolist() for scores in predictor.predict_table(table)]
    assert [row for each in rows for row in each] == [0, 1, 2]
    rest = [scores.rows.tolist() for scores in predictor.predict_table(table, 1)]
    assert [row for each in rest for row in each] == [1, 2]
    classes, _ = predictor.predict_classes(table)
    assert classes.shape == table.targets.shape
    lists = [[table.images[number] for number in table.numbers(row)] for row in range(3)]
    names = [table.taxonomy.categories[category] for category in table.categories]
    for row, answer in enumerate(predictor.predict(lists, names)):
        found = [list(each.values()) for each in answer.probabilities.values()]
        for slot, values in enumerate(found):
            assert np.allclose(values, expected[row, slot, : len(values)], atol=1e-6)


def test_an_unreadable_image_of_several_is_left_out_and_listed(
    predictor: Predictor, table: Table, tmp_path: Path
) -> None:
    for number in (1, 2, 3, 5):
        (tmp_path / "images" / f"{number:06d}.png").write_bytes(b"")
    written = write_predictions(predictor, table, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert [bool(row["attr_1"]) for row in rows] == [True, False, True]
    images = tmp_path / "images"
    assert written.problems == {
        "a": f"answered without {images}/000001.png: the file is empty",
        "b": "the file is empty",
        "c": f"answered without {images}/000003.png: the file is empty; "
        f"{images}/000005.png: the file is empty",
    }
    of_images = shares(predictor, table.by_image())
    expected = np.stack([of_images[0], of_images[[4, 6]].mean(0)])
    assert np.allclose(shares(predictor, table)[[0, 2]], expected, atol=1e-6)
    assert len(pick_images(predictor, table)) == 2


def test_a_changed_image_changes_the_stamp_of_its_product_alone(table: Table) -> None:
    before = [ImageStamps(table)(row, row + 1) for row in range(3)]
    (table.images.folder / "000004.png").write_bytes(b"other")
    after = [ImageStamps(table)(row, row + 1) for row in range(3)]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, False]


def test_other_shares_of_the_same_images_are_another_request(
    table: Table, checkpoint_path: Path
) -> None:
    other = replace(table, starts=np.array([0, 1, 3, 7]))
    assert request_of(checkpoint_path, table) != request_of(checkpoint_path, other)
