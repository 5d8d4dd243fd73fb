"""Test-time averaging, the same in every engine and in validation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visual_taxonomy.checkpoint import Checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.inference.engines import ENGINES
from visual_taxonomy.inference.prediction import Predictor

CONFIG = InferenceConfig(batch_size=2, workers=0, precision="32", accelerator="cpu")


def probabilities(predictor: Predictor, images: list[Image.Image]) -> np.ndarray:
    categories = np.arange(len(images)) % 2
    scores = list(predictor.score(images.__getitem__, categories))
    return np.concatenate([each.probabilities for each in scores])


@pytest.fixture
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in noise]


@pytest.mark.parametrize("engine", ENGINES)
def test_probabilities_are_the_mean_of_image_and_mirror_image(bundle, images, engine):
    plain = Predictor(bundle, replace(CONFIG, engine=engine))
    turned = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
    expected = (probabilities(plain, images) + probabilities(plain, turned)) / 2
    flipping = Predictor(bundle, replace(CONFIG, engine=engine, tta="flip"))
    np.testing.assert_allclose(probabilities(flipping, images), expected, atol=1e-6)
    assert abs(expected - probabilities(plain, images)).max() > 1e-3


def test_an_image_and_its_mirror_image_have_one_answer(checkpoint, images):
    predictor = Predictor(checkpoint, replace(CONFIG, tta="flip"))
    turned = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
    np.testing.assert_allclose(
        probabilities(predictor, images), probabilities(predictor, turned), atol=1e-7
    )


def test_a_model_validated_with_averaging_predicts_with_it_unless_told_otherwise(checkpoint):
    averaging: Checkpoint = replace(checkpoint, model=replace(checkpoint.model, tta="flip"))
    assert Predictor(checkpoint, CONFIG).tta == "none"
    assert Predictor(averaging, CONFIG).tta == "flip"
    assert Predictor(averaging, replace(CONFIG, tta="none")).tta == "none"


def test_a_reader_that_stops_early_leaves_the_engine_usable(bundle, images):
    predictor = Predictor(bundle, replace(CONFIG, engine="onnxruntime", tta="flip"))
    answers = predictor.score(images.__getitem__, np.zeros(5, dtype=np.int64))
    first = next(answers)
    answers.close()
    assert first.rows.tolist() == [0, 1]
    assert probabilities(predictor, images).shape == (5, 3, 3)


def test_a_row_without_image_has_no_probability(checkpoint, images, tmp_path: Path):
    predictor = Predictor(checkpoint, replace(CONFIG, tta="flip"))
    found = list(predictor.score([tmp_path / "gone.jpg", images[0]].__getitem__, np.array([0, 1])))
    assert not found[0].probabilities[0].any()
    assert list(found[0].problems) == [0]


def test_torch_reads_mirrored_images_of_any_layout():
    from visual_taxonomy.inference.mirroring import mirrored

    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    of_decoder = images.to(memory_format=torch.channels_last).numpy()
    assert torch.equal(torch.from_numpy(mirrored(of_decoder)), images.flip(3))
