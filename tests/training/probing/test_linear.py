"""Linear probes against scikit-learn on the same features."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.model.classifier import build_classifier
from visual_taxonomy.training.probing.encoded import Encoded, Scaling
from visual_taxonomy.training.probing.linear import (
    ABSENT_LOGIT,
    fit_linear_heads,
    linear_logits,
)
from visual_taxonomy.training.probing.outcome import install


def sklearn_of(encoded: Encoded, slot: int, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """Decision function of all Sarees with an image, and the classes it is of."""
    rows = np.flatnonzero((encoded.categories == 0) & encoded.has_image)
    scaled = StandardScaler().fit_transform(encoded.features[rows].astype(np.float64))
    labels = encoded.targets[rows, slot]
    model = LogisticRegression(C=0.1, max_iter=1000, tol=1e-6, **options)
    model.fit(scaled[labels >= 0], labels[labels >= 0])
    return model.decision_function(scaled), model.classes_


@pytest.mark.parametrize("is_balanced", [False, True])
def test_logits_are_those_of_scikit_learn(probed, encoded, is_balanced):
    heads = fit_linear_heads(probed, encoded, c=0.1, is_balanced=is_balanced)
    logits = linear_logits(probed, heads, encoded)
    weights = {"class_weight": "balanced"} if is_balanced else {}
    expected, classes = sklearn_of(encoded, 0, **weights)
    assert classes.tolist() == [0, 1, 2]
    np.testing.assert_allclose(logits[0][:, :3], expected, atol=5e-3)
    two, _ = sklearn_of(encoded, 1, **weights)
    np.testing.assert_allclose(logits[1][:, 1] - logits[1][:, 0], two, atol=5e-3)


def test_the_weights_give_the_logits_of_the_fit_to_float32(probed, encoded):
    rows = encoded.of_category(0)
    labels = encoded.targets[rows, 0]
    scaled = Scaling.of(encoded.features[rows])(encoded.features[rows])
    model = LogisticRegression(C=0.1, max_iter=1000).fit(scaled[labels >= 0], labels[labels >= 0])
    heads = fit_linear_heads(probed, encoded, c=0.1)
    found = linear_logits(probed, heads, encoded)[0][:, :3]
    np.testing.assert_allclose(found, model.decision_function(scaled), atol=1e-4)


def test_a_classifier_answers_as_the_probes_do(probed, encoded):
    plain = {"batch_norm": False, "inter_linear": False}
    config = ModelConfig("test_vit", "none", image_size=(32, 32), head="linear", **plain)
    model = build_classifier(probed, config).eval()
    model.heads = type(model.heads)(probed, 6, batch_norm=False, inter_linear=False)
    heads = fit_linear_heads(probed, encoded, c=0.1)
    install(model, heads)
    features = np.nan_to_num(encoded.features)
    with torch.inference_mode():
        output = model.heads(torch.from_numpy(features), torch.from_numpy(encoded.categories))
    for task, head in enumerate(heads):
        found = output.logits[:, task, : len(head.bias)].numpy()
        np.testing.assert_allclose(found, head.logits(features), atol=1e-4)


def test_a_class_without_a_row_is_never_answered(probed, encoded):
    head = fit_linear_heads(probed, encoded, c=0.1)[0]
    assert (head.weight[3] == 0).all()
    assert head.bias[3] == ABSENT_LOGIT
    logits = head.logits(np.random.default_rng(1).normal(0, 100, (500, 6)).astype(np.float32))
    assert (logits.argmax(axis=1) < 3).all()


def test_a_head_with_one_class_always_answers_it_and_one_without_labels_says_nothing(
    probed, encoded
):
    heads = fit_linear_heads(probed, encoded, c=0.1)
    assert heads[2].bias.tolist() == [0.0, ABSENT_LOGIT]
    assert heads[3].bias.tolist() == [0.0, 0.0]
    assert not heads[2].weight.any()
    assert not heads[3].weight.any()


def test_a_category_without_a_training_row_is_taken(probed, encoded):
    heads = fit_linear_heads(probed, encoded.take(encoded.categories == 0), c=0.1)
    assert [head.bias.any() for head in heads] == [True, True, False, False, False]


def test_what_does_not_converge_is_said(probed, encoded, monkeypatch):
    monkeypatch.setattr("visual_taxonomy.training.probing.linear._STEPS", 1)
    with pytest.warns(UserWarning, match="3 linear .* in 1 steps, first that of 'Sarees/border'"):
        fit_linear_heads(probed, encoded, c=100.0)
