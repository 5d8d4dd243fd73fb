import json
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from sklearn.metrics import f1_score, precision_recall_fscore_support
from torchmetrics.classification import MulticlassF1Score

from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import (
    Report,
    confusion_matrix,
    evaluate,
    harmonic_mean,
    majority_classes,
    majority_report,
)
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "a cat": {"T.shirt/type": ["A", "b"], "color": ["red", "green", "blue", "Neon/PINK v1.0"]},
        "T-shirts XL": {"ocassion": ["party", "daily", "default"]},
        "never": {"seen": ["x", "y"]},
    }
)
TINY = {  # 4 images of "a cat", 3 of "T-shirts XL"; "T-shirts XL" has no second attribute
    "predicted": np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, -1], [1, -1], [-1, -1]]),
    "targets": np.array([[0, -1], [1, -1], [1, -1], [-1, -1], [0, -1], [1, -1], [1, -1]]),
    "categories": np.array([0, 0, 0, 0, 1, 1, 1]),
}


@pytest.fixture
def random_data():
    rng = np.random.default_rng(0)
    categories = rng.integers(0, 2, 500)
    predicted, targets = np.full((2, 500, 2), -1)
    for k, slots in enumerate(TAXONOMY.slots):
        rows = np.flatnonzero(categories == k)
        for slot, task in enumerate(slots):
            num_classes = len(TAXONOMY.tasks[task].classes)
            predicted[rows, slot] = rng.integers(0, num_classes, len(rows))
            targets[rows, slot] = rng.integers(-1, num_classes - 1, len(rows))
    return predicted, targets, categories


def heads_of(report, predicted, targets, categories):
    """Scores of each attribute with the predictions and labels of its labelled rows."""
    for k, category in enumerate(report.categories):
        for slot, scores in enumerate(category.attributes):
            rows = (categories == k) & (targets[:, slot] >= 0)
            if rows.any():
                yield scores, predicted[rows, slot], targets[rows, slot]


def test_tiny_example_by_hand():
    report = evaluate(TAXONOMY, **TINY)
    # a cat, T.shirt/type: true A b b, predicted A A b: 2 of 3 right, F1 of A and of b 2/3 each.
    shirt, color = report.categories[0].attributes
    assert (shirt.support, shirt.micro, shirt.hm) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (color.support, color.micro, color.macro, color.hm) == (0, None, None, None)
    # T-shirts XL: true party daily daily, predicted party daily nothing: precision 2/2, recall 2/3;
    # F1 of party 1, of daily 2/3, default occurs nowhere.
    ocassion = report.categories[1].attributes[0]
    assert ocassion.micro == pytest.approx(4 / 5)
    assert ocassion.macro == pytest.approx(5 / 6)
    assert ocassion.hm == pytest.approx(2 * (4 / 5) * (5 / 6) / (4 / 5 + 5 / 6))
    assert report.micro == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert report.macro == pytest.approx((2 / 3 + 5 / 6) / 2)
    assert report.hm == pytest.approx((2 / 3 + ocassion.hm) / 2)
    assert (report.support, report.categories[2].hm) == (6, None)


def test_attribute_scores_are_those_of_scikit_learn(random_data):
    report = evaluate(TAXONOMY, *random_data)
    heads = list(heads_of(report, *random_data))
    assert len(heads) == 3
    for scores, predicted, target in heads:
        assert scores.micro == pytest.approx(f1_score(target, predicted, average="micro"))
        assert scores.macro == pytest.approx(f1_score(target, predicted, average="macro"))
        assert scores.support == len(target)


def test_attribute_scores_are_those_of_torchmetrics(random_data):
    report = evaluate(TAXONOMY, *random_data)
    for scores, predicted, target in heads_of(report, *random_data):
        for average, ours in (("micro", scores.micro), ("macro", scores.macro)):
            metric = MulticlassF1Score(len(scores.classes), average=average)
            theirs = metric(torch.from_numpy(predicted), torch.from_numpy(target))
            assert ours == pytest.approx(theirs.item(), abs=1e-6)


def test_class_scores_are_those_of_scikit_learn(random_data):
    report = evaluate(TAXONOMY, *random_data)
    for scores, predicted, target in heads_of(report, *random_data):
        theirs = precision_recall_fscore_support(
            target, predicted, labels=range(len(scores.classes)), zero_division=0
        )
        ours = [(c.precision, c.recall, c.f1, c.support) for c in scores.classes]
        np.testing.assert_allclose(np.array(ours).T, np.array(theirs))


def test_no_answer_is_a_miss_and_no_false_positive(random_data):
    predicted, targets, categories = random_data
    predicted[::3] = -1
    report = evaluate(TAXONOMY, predicted, targets, categories)
    for scores, answers, target in heads_of(report, predicted, targets, categories):
        occurring = sorted({*answers.tolist(), *target.tolist()} - {-1})
        for average, ours in (("micro", scores.micro), ("macro", scores.macro)):
            theirs = f1_score(target, answers, labels=occurring, average=average)
            assert ours == pytest.approx(theirs)


def test_only_missed_answers_score_zero():
    report = evaluate(TAXONOMY, np.full((7, 2), -1), TINY["targets"], TINY["categories"])
    assert (report.hm, report.micro, report.macro) == (0.0, 0.0, 0.0)


def test_perfect_predictions_score_one_although_classes_are_absent():
    report = evaluate(TAXONOMY, TINY["targets"], TINY["targets"], TINY["categories"])
    assert (report.hm, report.micro, report.macro) == (1.0, 1.0, 1.0)
    assert [c.occurs for c in report.categories[1].attributes[0].classes] == [True, True, False]


def test_means_are_over_attributes_then_over_categories(random_data):
    report = evaluate(TAXONOMY, *random_data)
    cat, shirts, never = report.categories
    for name in ("hm", "micro", "macro"):
        of_cat = np.mean([getattr(scores, name) for scores in cat.attributes])
        assert getattr(cat, name) == pytest.approx(of_cat)
        of_shirts = getattr(shirts.attributes[0], name)
        assert getattr(report, name) == pytest.approx((of_cat + of_shirts) / 2)
        assert getattr(never, name) is None


def scikit_learn_scores(taxonomy, predicted, targets, categories):
    """HM, micro and macro by loops over rows, and scikit-learn's f1_score."""
    of_categories = []
    for k, slots in enumerate(taxonomy.slots):
        of_attributes = []
        for slot in range(len(slots)):
            rows = [n for n in range(len(targets)) if categories[n] == k and targets[n, slot] >= 0]
            if rows:
                truth, answer = targets[rows, slot], predicted[rows, slot]
                labels = sorted({*truth.tolist(), *answer.tolist()} - {-1})
                micro = f1_score(truth, answer, labels=labels, average="micro")
                macro = f1_score(truth, answer, labels=labels, average="macro")
                hm = 2 * micro * macro / (micro + macro) if micro + macro else 0.0
                of_attributes.append((hm, micro, macro))
        if of_attributes:
            of_categories.append(np.mean(of_attributes, axis=0))
    return np.mean(of_categories, axis=0)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_overall_scores_are_those_of_loops_over_any_taxonomy(data):
    sizes = data.draw(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1))
    sizes = sizes[:3]
    taxonomy = Taxonomy.from_dict(
        {
            f"category {k}": {f"a{a}": [f"c{c}" for c in range(n)] for a, n in enumerate(counts)}
            for k, counts in enumerate(sizes)
        }
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    num_rows = data.draw(st.integers(1, 40))
    categories = rng.integers(0, len(sizes), num_rows)
    predicted, targets = np.full((2, num_rows, taxonomy.num_slots), -1)
    for n, k in enumerate(categories):
        for slot, count in enumerate(sizes[k]):
            predicted[n, slot], targets[n, slot] = rng.integers(-1, count, 2)
    targets[0, 0] = 0
    report = evaluate(taxonomy, predicted, targets, categories)
    theirs = scikit_learn_scores(taxonomy, predicted, targets, categories)
    np.testing.assert_allclose((report.hm, report.micro, report.macro), theirs, atol=1e-12)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_order_of_rows_changes_nothing(random_data):
    order = np.random.default_rng(1).permutation(500)
    shuffled = [array[order] for array in random_data]
    assert evaluate(TAXONOMY, *shuffled) == evaluate(TAXONOMY, *random_data)


def test_class_that_is_only_predicted_lowers_the_macro_average():
    taxonomy = Taxonomy.from_dict({"a": {"b": ["x", "y", "z"]}})
    report = evaluate(taxonomy, np.array([[0], [1]]), np.array([[0], [0]]), np.zeros(2, int))
    # x: precision 1, recall 1/2, F1 2/3; y: 0; z occurs nowhere.
    assert report.macro == pytest.approx((2 / 3 + 0) / 2)
    assert report.micro == pytest.approx(1 / 2)


def test_attribute_with_one_class_scores_one_when_answered():
    taxonomy = Taxonomy.from_dict({"a": {"b": ["only"]}})
    zeros = np.zeros((3, 1), int)
    assert evaluate(taxonomy, zeros, zeros, zeros[:, 0]).hm == 1.0


def test_predictions_of_unlabelled_rows_and_of_foreign_slots_change_nothing(random_data):
    predicted, targets, categories = random_data
    before = evaluate(TAXONOMY, predicted, targets, categories)
    predicted = np.where(targets < 0, 1, predicted)
    targets = targets.copy()
    targets[categories == 1, 1] = 77
    assert evaluate(TAXONOMY, predicted, targets, categories) == before


def test_report_without_any_label_is_refused():
    with pytest.raises(InputError, match="nothing to score: no row has a label"):
        evaluate(TAXONOMY, TINY["predicted"], np.full((7, 2), -1), TINY["categories"])
    with pytest.raises(InputError, match="nothing to score"):
        evaluate(TAXONOMY, np.zeros((0, 2), int), np.zeros((0, 2), int), np.zeros(0, int))


def test_report_survives_json_under_its_own_names():
    report = evaluate(TAXONOMY, **TINY)
    text = json.dumps(report.to_dict(), allow_nan=False)
    mapping = json.loads(text)
    assert Report.from_dict(mapping) == report
    assert list(mapping["categories"]) == ["a cat", "T-shirts XL", "never"]
    shirt = mapping["categories"]["a cat"]["attributes"]["T.shirt/type"]
    assert list(shirt["classes"]) == ["A", "b"]
    assert shirt["classes"]["b"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
        "predicted": 1,
        "correct": 1,
    }
    color = mapping["categories"]["a cat"]["attributes"]["color"]
    assert (color["hm"], color["support"]) == (None, 0)
    assert mapping["hm"] == report.hm


@pytest.mark.parametrize("mapping", [{}, {"categories": 3}, {"categories": {"a": {}}}, []])
def test_report_of_another_form_is_refused(mapping):
    with pytest.raises(InputError, match="not a report of `vtax evaluate --out`"):
        Report.from_dict(mapping)


def test_report_without_a_label_is_refused_on_reading_too():
    mapping = evaluate(TAXONOMY, **TINY).to_dict()
    del mapping["categories"]["a cat"], mapping["categories"]["T-shirts XL"]
    with pytest.raises(InputError, match="nothing to score"):
        Report.from_dict(mapping)


def test_confusion_matrix_is_that_of_scikit_learn():
    predicted, target = np.random.default_rng(0).integers(-1, 5, (2, 300))
    known = (predicted >= 0) & (target >= 0)
    theirs = sklearn_confusion_matrix(target[known], predicted[known], labels=range(5))
    np.testing.assert_array_equal(confusion_matrix(predicted, target, 5), theirs)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64])
def test_confusion_matrix_does_not_overflow_small_integers(dtype):
    classes = np.arange(128, dtype=dtype)
    np.testing.assert_array_equal(confusion_matrix(classes, classes, 128), np.eye(128))


def test_index_outside_the_classes_is_refused():
    zeros = np.zeros(2, int)
    with pytest.raises(InputError, match=r"prediction 2 is not a class index; expected -1 to 1"):
        confusion_matrix(np.array([0, 2]), zeros, 2)
    with pytest.raises(InputError, match=r"label -2 is not a class index; expected -1 to 1"):
        confusion_matrix(zeros, np.array([0, -2]), 2)
    with pytest.raises(InputError, match=r"\(2,\) predictions for \(3,\) labels, expected \[N\]"):
        confusion_matrix(zeros, np.zeros(3, int), 2)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"predictions of shape \(7, 1\) do not fit 7 rows"):
        evaluate(TAXONOMY, TINY["predicted"][:, :1], TINY["targets"], TINY["categories"])
    with pytest.raises(InputError, match=r"labels of shape \(6, 2\) do not fit 7 rows"):
        evaluate(TAXONOMY, TINY["predicted"], TINY["targets"][:6], TINY["categories"])
    with pytest.raises(InputError, match="3 is not a category index; expected 0 to 2"):
        evaluate(TAXONOMY, TINY["predicted"], TINY["targets"], np.full(7, 3))


def test_majority_classes_by_hand():
    counts = {
        "a cat/T.shirt/type": [1, 2],
        "a cat/color": [0, 0, 0, 0],
        "T-shirts XL/ocassion": [1, 2, 2],
        "never/seen": [0, 0],
    }
    assert majority_classes(TAXONOMY, counts).tolist() == [[1, -1], [1, -1], [-1, -1]]


def test_majority_baseline_has_the_micro_score_of_its_share():
    targets, categories = np.array([[0], [0], [0], [1], [-1]]), np.zeros(5, int)
    taxonomy = Taxonomy.from_dict({"a": {"b": ["x", "y"]}})
    baseline = majority_report(taxonomy, {"a/b": [3, 1]}, targets, categories)
    assert baseline.micro == pytest.approx(3 / 4)
    assert baseline.macro == pytest.approx((2 * 3 / 7 + 0) / 2)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_harmonic_mean_is_that_of_the_standard_library(a, b):
    assert harmonic_mean(a, b) == pytest.approx(statistics.harmonic_mean([a, b]))


def test_harmonic_mean_by_hand():
    assert harmonic_mean(0.5, 1.0) == pytest.approx(2 / 3)
    assert harmonic_mean(0.0, 1.0) == harmonic_mean(0.0, 0.0) == 0.0
