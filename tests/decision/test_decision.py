import json
from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.abstention import AcceptedCounts
from visual_taxonomy.decision.decision import (
    Decision,
    FittedOn,
    HeadDecision,
    plain_answers,
)
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "Sarees": {"border": ["zari", "none"], "color": ["red", "blue", "green"]},
        "Kurtis": {"fit": ["a"]},
    }
)
COUNTS = AcceptedCounts((400, 300, 200), (120, 20, 2))
FITTED_ON = FittedOn("validation rows", rows=9, labels=12, folds=5, digest="0" * 64)


def head(classes, tau=0.0, temperature=1.0, prior_exponent=0.0, offsets=None, prior=None):
    prior = tuple(np.log(prior if prior is not None else np.full(classes, 1 / classes)).tolist())
    return HeadDecision(
        temperature, prior_exponent, prior, tau, offsets, COUNTS, COUNTS, labels=400
    )


def decision(*heads):
    heads = heads or (head(2), head(3), head(1))
    return Decision(TAXONOMY, heads, FITTED_ON, "one tau", (0.0, 0.6, 0.9))


def batch(rows=50, seed=0):
    generator = np.random.default_rng(seed)
    categories = generator.integers(0, 2, rows)
    probabilities = np.zeros((rows, 2, 3), dtype=np.float32)
    for i, k in enumerate(categories):
        for slot, task in enumerate(TAXONOMY.slots[k]):
            classes = len(TAXONOMY.tasks[task].classes)
            probabilities[i, slot, :classes] = generator.dirichlet(np.ones(classes))
    return probabilities, categories


def test_plain_answers_are_the_argmax_and_leave_missing_answers_out():
    probabilities, categories = batch()
    answers = plain_answers(TAXONOMY, probabilities, categories)
    has_answer = probabilities.sum(axis=2) > 0
    expected = np.where(has_answer, probabilities.argmax(axis=2), -1)
    np.testing.assert_array_equal(answers.classes, expected)
    np.testing.assert_array_equal(answers.probabilities, probabilities)
    np.testing.assert_array_equal(answers.is_unknown, ~has_answer)
    second = np.argsort(-probabilities, axis=2, kind="stable")[..., 1]
    expected = np.where((probabilities > 0).sum(axis=2) > 1, second, -1)
    np.testing.assert_array_equal(answers.runner_up, expected)


def test_the_first_of_equals_is_chosen():
    probabilities = np.full((1, 2, 3), 1 / 3, dtype=np.float32)
    probabilities[:, 0] = 0.5, 0.5, 0.0
    for answers in (
        plain_answers(TAXONOMY, probabilities, np.array([0])),
        decision().answer(probabilities, np.array([0])),
    ):
        assert answers.classes.tolist() == [[0, 0]]
        assert answers.runner_up.tolist() == [[1, 1]]


def test_nan_zeros_and_rows_without_picture_have_no_answer():
    probabilities, _ = batch(4)
    probabilities[:, :, :2] = 0.5
    probabilities[:, :, 2] = 0.0
    probabilities[0, 0, 0] = np.nan
    probabilities[1, 1] = 0.0
    probabilities[2] = 0.0
    categories = np.array([0, 0, 1, -1])
    for answers in (
        plain_answers(TAXONOMY, probabilities, categories),
        decision().answer(probabilities, categories, target_precision=0.9),
    ):
        assert (answers.classes == -1).tolist() == [[1, 0], [0, 1], [1, 1], [1, 1]]
        assert answers.is_unknown[answers.classes == -1].all()
        assert not answers.probabilities[answers.classes == -1].any()
        assert np.isfinite(answers.probabilities).all()


def test_without_temperature_prior_and_tau_nothing_changes():
    probabilities, categories = batch()
    plain = plain_answers(TAXONOMY, probabilities, categories)
    answers = decision().answer(probabilities, categories)
    np.testing.assert_allclose(answers.probabilities, probabilities, atol=1e-7)
    for name in ("classes", "runner_up", "is_unknown"):
        np.testing.assert_array_equal(getattr(answers, name), getattr(plain, name))


def test_calibration_and_rule_are_those_of_the_formulas():
    probabilities, categories = batch()
    prior = np.array([0.7, 0.2, 0.1])
    offsets = (0.1, -0.2, 0.3)
    heads = (head(2), head(3, 0.4, 2.0, 0.5, offsets, prior), head(1))
    answers = decision(*heads).answer(probabilities, categories)
    rows = categories == 0
    p = probabilities[rows, 1].astype(float)
    powered = np.sqrt(p) * np.sqrt(prior)
    expected = powered / powered.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers.probabilities[rows, 1], expected, rtol=1e-6)
    scores = np.log(p) - 0.4 * np.log(prior) + offsets
    np.testing.assert_array_equal(answers.classes[rows, 1], scores.argmax(axis=1))
    argmax = decision(*heads).answer(probabilities, categories, "argmax")
    np.testing.assert_array_equal(argmax.classes[rows, 1], p.argmax(axis=1))
    np.testing.assert_array_equal(argmax.probabilities, answers.probabilities)


def test_answers_do_not_depend_on_the_batch():
    probabilities, categories = batch(5000)
    heads = (head(2, 0.3, 1.7, 0.1), head(3, 0.4, 2.0, 0.5), head(1))
    whole = decision(*heads).answer(probabilities, categories, target_precision=0.9)
    one = decision(*heads).answer(probabilities[4999:], categories[4999:], target_precision=0.9)
    for together, alone in zip(whole, one, strict=True):
        np.testing.assert_array_equal(together[4999:], alone)
    none = decision().answer(probabilities[:0], categories[:0])
    assert [len(array) for array in none] == [0, 0, 0, 0]


def test_abstained_answers_keep_their_candidate():
    probabilities, categories = batch()
    answers = decision().answer(probabilities, categories, target_precision=0.9)
    assert decision().thresholds("metric", 0.9).least.tolist() == [0.6, 0.6, 0.6]
    confidence = answers.probabilities.max(axis=2)
    is_candidate = answers.classes >= 0
    np.testing.assert_array_equal(answers.is_unknown[is_candidate], confidence[is_candidate] < 0.6)


@pytest.mark.parametrize("target", [0.0, 1.0, -1, 95, float("nan")])
def test_a_target_precision_lies_between_0_and_1(target):
    probabilities, categories = batch()
    with pytest.raises(InputError, match="expected a share between 0 and 1"):
        decision().answer(probabilities, categories, target_precision=target)


def test_plain_values_give_back_the_decision():
    heads = (head(2, 0.3), head(3, 0.4, 2.0, 0.5, (0.1, 0.2, 0.3)), head(1))
    values = json.loads(json.dumps(decision(*heads).to_dict()))
    assert Decision.from_dict(TAXONOMY, values) == decision(*heads)


def test_a_decision_for_another_taxonomy_is_refused():
    other = Taxonomy.from_dict({"Sarees": {"border": ["none", "zari"]}})
    with pytest.raises(InputError, match="a decision fitted for another taxonomy"):
        Decision.from_dict(other, decision().to_dict())
    with pytest.raises(InputError, match="a decision fitted for another taxonomy"):
        replace(decision(), heads=(head(2),))


@pytest.mark.parametrize(
    ("place", "value"),
    [("heads", None), ("grid", ["x"]), ("fitted_on", {"rows": "many"}), ("heads", [{}])],
)
def test_a_damaged_decision_is_refused(place, value):
    values = decision().to_dict()
    values[place] = value
    with pytest.raises(InputError, match="the decision is damaged"):
        Decision.from_dict(TAXONOMY, values)
    del values[place]
    with pytest.raises(InputError, match="the decision is damaged"):
        Decision.from_dict(TAXONOMY, values)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_numbers_of_a_decision_are_checked(temperature):
    with pytest.raises(InputError, match="the decision is damaged"):
        decision(head(2, temperature=temperature), head(3), head(1))


def test_probabilities_must_fit_the_taxonomy():
    with pytest.raises(InputError, match="do not fit the taxonomy"):
        decision().answer(np.zeros((1, 1, 3)), np.array([0]))
    with pytest.raises(InputError, match="do not fit the taxonomy"):
        plain_answers(TAXONOMY, np.zeros((1, 2, 4)), np.array([0]))


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": (0.0,)},
        {"covered": (1, 2)},
        {"metric_counts": AcceptedCounts((1,), (0,))},
        {"argmax_counts": AcceptedCounts((3, 2, 1), (0,))},
        {"tau": float("nan")},
    ],
)
def test_parts_of_a_decision_must_fit_each_other(change):
    with pytest.raises(InputError, match="its numbers do not fit"):
        decision(replace(head(2), **change), head(3), head(1))
