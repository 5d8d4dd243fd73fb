from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visual_taxonomy.checkpoint import Checkpoint, write_checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference import prediction
from visual_taxonomy.inference.engines import ENGINES, torch_engine
from visual_taxonomy.inference.prediction import Prediction, Predictor

CONFIG = InferenceConfig(batch_size=2, workers=0, precision="32", accelerator="cpu")
NAMES = ["Sarees", "Kurtis"]


@pytest.fixture
def predictor(checkpoint) -> Predictor:
    return Predictor(checkpoint, CONFIG)


def probabilities(predictions: Sequence[Prediction]) -> list[float]:
    """All of them, flat."""
    return [
        value
        for each in predictions
        for scores in each.probabilities.values()
        for value in scores.values()
    ]


def images_of(table: Table) -> list[Path]:
    return [table.path(row) for row in range(len(table))]


def test_every_attribute_of_the_category_gets_a_class_and_probabilities(predictor, table_of):
    table = table_of(2)
    for each in predictor.predict(images_of(table), NAMES):
        expected = table.taxonomy.to_dict()[each.category]
        assert {name: list(scores) for name, scores in each.probabilities.items()} == expected
        assert list(each.labels) == list(expected)
        assert each.problem is None
        for attribute, scores in each.probabilities.items():
            assert sum(scores.values()) == pytest.approx(1, abs=1e-6)
            assert scores[each.labels[attribute]] == max(scores.values())


@pytest.mark.parametrize("broken", [[0, 1], [1]])
def test_an_image_whose_answer_is_no_number_has_no_label_and_says_why(
    predictor, table_of, monkeypatch, broken
):
    """As graph engines give it: they pass NaN on, torch's engine makes it 0."""
    answer = predictor.engine.probabilities

    def spoiled(images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        found = answer(images, categories)
        found[broken, 1] = np.nan
        return found

    monkeypatch.setattr(predictor.engine, "probabilities", spoiled)
    (scores,) = predictor.predict_table(table_of(2))
    assert scores.problems == dict.fromkeys(broken, prediction.NO_ANSWER)
    assert np.isfinite(scores.probabilities).all()
    assert (scores.classes[broken, 1] == -1).all()
    assert (scores.classes[:, 0] >= 0).all()


def test_probabilities_are_the_softmax_of_the_models_logits(predictor, checkpoint, table_of):
    """Pillow, NumPy and the bare model, without anything of the predictor.

    Torch resizes with other roundings than Pillow: a grey level of 255 here and there.
    """
    table = table_of(2)
    size = (48, 32)
    pixels = [
        np.asarray(Image.open(path).resize(size, Image.Resampling.BICUBIC))
        for path in images_of(table)
    ]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = checkpoint.classifier()(images, torch.tensor([0, 1])).double().numpy()
    exponentials = np.exp(logits[np.isfinite(logits)])
    sizes = [3, 2, 2, 3, 1]  # the classes of the five tasks
    expected = [
        value
        for part in np.split(exponentials, np.cumsum(sizes)[:-1])
        for value in part / part.sum()
    ]
    found = probabilities(predictor.predict(images_of(table), NAMES))
    assert found == pytest.approx(expected, abs=2e-3)


def test_mixed_categories_in_one_batch_equal_one_image_at_a_time(checkpoint, table_of):
    paths = images_of(table_of(5))
    categories = ["Kurtis", "Sarees", "Sarees", "Kurtis", "Sarees"]
    together = Predictor(checkpoint, replace(CONFIG, batch_size=5)).predict(paths, categories)
    predictor = Predictor(checkpoint, replace(CONFIG, batch_size=1))
    alone = [
        predictor.predict([path], [name])[0] for path, name in zip(paths, categories, strict=True)
    ]
    assert [each.labels for each in together] == [each.labels for each in alone]
    assert probabilities(together) == pytest.approx(probabilities(alone), abs=1e-5)


def test_paths_bytes_and_decoded_images_agree(predictor, table_of):
    paths = images_of(table_of(3))
    categories = ["Sarees", "Kurtis", "Kurtis"]
    expected = predictor.predict(paths, categories)
    assert predictor.predict([path.read_bytes() for path in paths], categories) == expected
    assert predictor.predict([Image.open(path) for path in paths], categories) == expected


def test_answers_are_in_the_order_of_the_images(predictor, table_of):
    paths = images_of(table_of(5))
    expected = predictor.predict(paths, ["Sarees"] * 5)
    backwards = predictor.predict(paths[::-1], ["Sarees"] * 5)[::-1]
    assert probabilities(backwards) == pytest.approx(probabilities(expected), abs=1e-5)
    assert len({tuple(probabilities([each])) for each in expected}) == 5


def test_loading_processes_change_nothing(checkpoint, predictor, table_of):
    table = table_of(4)
    helped = Predictor(checkpoint, replace(CONFIG, workers=1))
    assert helped.predict(images_of(table), NAMES * 2) == predictor.predict(
        images_of(table), NAMES * 2
    )


def test_an_unreadable_image_is_a_problem_of_its_own_answer(predictor, table_of, tmp_path):
    paths = images_of(table_of(2))
    predictions = predictor.predict([paths[0], tmp_path / "none.jpg", b"", paths[1]], NAMES * 2)
    for each, name in zip(predictions[1:3], ("Kurtis", "Sarees"), strict=True):
        assert (each.category, each.labels, each.probabilities) == (name, {}, {})
    assert [each.problem for each in predictions] == [
        None,
        "the file is missing",
        "the file is empty",
        None,
    ]
    expected = predictor.predict(paths, ["Sarees", "Kurtis"])
    assert probabilities(predictions) == pytest.approx(probabilities(expected), abs=1e-5)


def test_no_images_give_no_answers(predictor):
    assert predictor.predict([], []) == []


def test_an_unknown_category_is_refused_with_the_nearest(predictor):
    with pytest.raises(InputError, match=r"category 'Kurti' is none of: .* mean 'Kurtis'\?"):
        predictor.predict([b"", b""], ["Sarees", "Kurti"])


def test_each_image_needs_a_category(predictor):
    with pytest.raises(InputError, match="2 images but 1 categories"):
        predictor.predict([b"", b""], ["Sarees"])


def test_a_table_is_scored_in_order_a_batch_at_a_time(predictor, table_of):
    table = table_of(5)
    batches = list(predictor.predict_table(table))
    assert [scores.rows.tolist() for scores in batches] == [[0, 1], [2, 3], [4]]
    scores = batches[1]
    assert scores.probabilities.shape == (2, 3, 3)
    assert scores.probabilities.dtype == np.float32
    # rows 2 and 3 are a Saree and a Kurti
    assert scores.classes[0, 2] == -1
    sums = scores.probabilities.sum(axis=2)
    assert sums == pytest.approx(np.array([[1, 1, 0], [1, 1, 1]]), abs=1e-6)
    assert (scores.probabilities[0, 1, 2], scores.probabilities[1, 2, 1]) == (0, 0)
    assert (scores.classes == np.where(sums > 0, scores.probabilities.argmax(axis=2), -1)).all()


def test_a_row_without_image_has_no_class_and_no_probability(predictor, table_of):
    table = table_of(2)
    table.path(0).unlink()
    (scores,) = predictor.predict_table(table)
    assert (scores.classes[0] == -1).all()
    assert (scores.probabilities[0] == 0).all()
    assert (scores.classes[1] >= 0).all()
    assert scores.problems == {0: "the file is missing"}


def test_a_table_is_scored_from_any_row_on(predictor, table_of):
    table = table_of(5)
    table.path(4).unlink()
    whole = list(predictor.predict_table(table))
    rest = list(predictor.predict_table(table, 2))
    assert [scores.rows.tolist() for scores in rest] == [[2, 3], [4]]
    assert rest[1].problems == {4: "the file is missing"}
    for found, expected in zip(rest, whole[1:], strict=True):
        assert np.array_equal(found.probabilities, expected.probabilities)
    assert list(predictor.predict_table(table, 5)) == []


def test_labels_of_the_table_do_not_matter(predictor, table_of):
    table = table_of(2)
    (expected,) = predictor.predict_table(table)
    (scores,) = predictor.predict_table(replace(table, targets=np.full((2, 3), -1)))
    assert np.array_equal(scores.probabilities, expected.probabilities)


def test_a_checkpoint_file_is_loaded(checkpoint, predictor, table_of, tmp_path):
    paths = images_of(table_of(2))
    write_checkpoint(tmp_path / "a.pt", checkpoint)
    for path in (tmp_path / "a.pt", str(tmp_path / "a.pt")):
        loaded = Predictor.load(path, CONFIG)
        assert loaded.predict(paths, NAMES) == predictor.predict(paths, NAMES)
        assert loaded.engine.image_size == (32, 48)
    with pytest.raises(InputError, match=r"none\.pt: no such checkpoint"):
        Predictor.load(tmp_path / "none.pt")


def test_half_precision_is_close_and_leaves_the_heads_in_float32(checkpoint, predictor, table_of):
    paths = images_of(table_of(2))
    half = Predictor(checkpoint, replace(CONFIG, precision="bf16"))
    backbone = half.engine.model.encoder.backbone
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in half.engine.model.heads.parameters()} == {
        torch.float32
    }
    expected = probabilities(predictor.predict(paths, NAMES))
    assert probabilities(half.predict(paths, NAMES)) == pytest.approx(expected, abs=0.03)


def test_automatic_precision_is_settled_when_the_model_is_loaded(checkpoint, monkeypatch):
    monkeypatch.setattr(torch_engine, "pick_precision", lambda precision, device: "bf16")
    automatic = Predictor(checkpoint, replace(CONFIG, precision="auto"))
    assert automatic.engine.precision == "bf16"


def test_predicting_needs_no_gradient_and_is_in_evaluation_mode(predictor):
    assert not predictor.engine.model.training
    (scores,) = predictor.score([Image.new("RGB", (5, 5))].__getitem__, np.array([0]))
    assert isinstance(scores.probabilities, np.ndarray)


def test_the_default_is_a_prediction_on_the_best_device(checkpoint, monkeypatch):
    asked: list[str] = []

    def pick(accelerator: str) -> torch.device:
        asked.append(accelerator)
        return torch.device("cpu")

    monkeypatch.setattr(torch_engine, "pick_device", pick)
    monkeypatch.setattr(torch_engine, "pick_precision", lambda precision, device: "32")
    assert isinstance(checkpoint, Checkpoint)
    Predictor(checkpoint)
    assert asked == ["auto"]


def test_a_bundle_is_loaded_like_a_checkpoint(bundle, predictor, table_of):
    paths = images_of(table_of(4))
    for engine in ("auto", *ENGINES):
        loaded = Predictor.load(bundle.folder, replace(CONFIG, engine=engine))
        found = loaded.predict(paths, NAMES * 2)
        expected = predictor.predict(paths, NAMES * 2)
        assert [each.labels for each in found] == [each.labels for each in expected]
        assert probabilities(found) == pytest.approx(probabilities(expected), abs=2e-3)


def test_a_bundle_beside_another_taxonomy_is_refused(bundle, attributes_config):
    assert Predictor.load(bundle.folder, CONFIG, attributes_config).taxonomy == bundle.taxonomy
    attributes_config.write_text('{"Sarees": {"border": ["zari"]}}')
    with pytest.raises(InputError, match=r"attrs\.json is not the taxonomy of .*model"):
        Predictor.load(bundle.folder, CONFIG, attributes_config)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither a checkpoint file nor a bundle"):
        Predictor.load(tmp_path)


def test_a_checkpoint_needs_torch(checkpoint_path, monkeypatch):
    monkeypatch.setattr(prediction, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"a checkpoint needs torch .* predict from a bundle"):
        Predictor.load(checkpoint_path)
