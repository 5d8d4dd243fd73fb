"""What every engine promises, on one bundle."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.inference.bundle import Bundle
from visual_taxonomy.inference.engines import ENGINES
from visual_taxonomy.inference.engines.base import Engine
from visual_taxonomy.inference.engines.choice import make_engine

NAMES = list(ENGINES)


@pytest.fixture(params=NAMES, scope="module")
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Engine:
    config = InferenceConfig(
        request.param, batch_size=3, workers=1, precision="32", accelerator="cpu"
    )
    return make_engine(bundle, config)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 32, 48), dtype=np.uint8)


def expected(checkpoint, images: np.ndarray, categories: Sequence[int]) -> np.ndarray:
    """The bare model, and softmax in NumPy and float64."""
    with torch.no_grad():
        logits = checkpoint.classifier()(torch.from_numpy(images), torch.tensor(categories))
    exponentials = np.exp(logits.double().numpy())
    total = exponentials.sum(axis=2, keepdims=True)
    return np.divide(exponentials, total, where=total > 0, out=np.zeros_like(exponentials))


def test_probabilities_are_those_of_the_checkpoint(engine: Engine, checkpoint) -> None:
    images, categories = noise(5), [1, 0, 0, 1, 1]
    found = engine.probabilities(images, np.array(categories))
    assert found == pytest.approx(expected(checkpoint, images, categories), abs=1e-4)
    assert (found.shape, found.dtype) == ((5, 3, 3), np.float32)


def test_batches_may_have_any_size(engine: Engine) -> None:
    images, categories = noise(4), np.array([0, 1, 1, 0])
    whole = engine.probabilities(images, categories)
    for row in range(4):
        alone = engine.probabilities(images[row : row + 1], categories[row : row + 1])
        assert alone[0] == pytest.approx(whole[row], abs=1e-5)


def test_a_row_without_image_harms_no_other(engine: Engine) -> None:
    images = noise(2)
    found = engine.probabilities(images, np.array([-1, 1]))
    assert found[1] == pytest.approx(engine.probabilities(images, np.array([1, 1]))[1], abs=1e-5)


def test_images_come_in_order_with_their_problems(engine: Engine, table_of) -> None:
    table = table_of(5)
    table.path(3).unlink()
    batches = list(engine.batches(table.path, table.categories))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2], [3, 4]]
    assert [batch.images.shape for batch in batches] == [(3, 3, 32, 48), (2, 3, 32, 48)]
    assert batches[1].categories.tolist() == [-1, 0]
    assert batches[1].problems == {3: "the file is missing"}


def test_answers_come_in_the_order_of_the_batches(engine: Engine, table_of) -> None:
    table = table_of(8)
    found = list(engine.answers(engine.batches(table.path, table.categories)))
    assert [batch.rows.tolist() for batch, _ in found] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    for batch, probabilities in found:
        alone = engine.probabilities(batch.images, batch.categories)
        assert probabilities == pytest.approx(alone, abs=1e-5)


def test_threads_may_share_an_engine(engine: Engine) -> None:
    images, categories = noise(3), np.array([0, 1, 1])
    alone = engine.probabilities(images, categories)
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda _: engine.probabilities(images, categories), range(40)))
    for probabilities in found:
        assert probabilities == pytest.approx(alone, abs=1e-5)


def test_answers_that_nobody_fetches_to_the_end_are_let_go(engine: Engine, table_of) -> None:
    table = table_of(8)
    answers = engine.answers(engine.batches(table.path, table.categories))
    first, _ = next(answers)
    answers.close()
    assert first.rows.tolist() == [0, 1, 2]
    assert engine.probabilities(first.images, first.categories).shape == (3, 3, 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_batches_is_chosen_where_it_is_not_given(bundle: Bundle, name: str) -> None:
    engine = make_engine(bundle, InferenceConfig(name, precision="32", accelerator="cpu"))
    assert engine.batch_size in (8, 16, 32, 64)
