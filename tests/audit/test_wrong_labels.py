import numpy as np
import pytest

from visual_taxonomy.audit.wrong_labels import (
    SLIP_RATE,
    class_thresholds,
    find_wrong_labels,
    is_suspect,
    label_scores,
    slip_probabilities,
)


def noisy(seed, rows=400, classes=4):
    """Probabilities of a fair model, and labels of which a tenth is another class."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.4), rows)
    labels = np.array([random.choice(classes, p=each) for each in probabilities])
    labels[: rows // 10] = (labels[: rows // 10] + 1) % classes
    return probabilities, labels


def test_thresholds_are_the_mean_confidence_of_each_class():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0]])
    thresholds = class_thresholds(probabilities, np.array([0, 0, 1]))
    np.testing.assert_allclose(thresholds, [0.7, 0.8, 1.0])


def test_thresholds_and_margins_are_those_of_cleanlab():
    count = pytest.importorskip("cleanlab.count")
    rank = pytest.importorskip("cleanlab.rank")
    for seed in range(5):
        probabilities, labels = noisy(seed)
        thresholds = class_thresholds(probabilities, labels)
        expected = count.get_confident_thresholds(labels, probabilities)
        np.testing.assert_allclose(thresholds, expected, rtol=1e-12)
        # cleanlab: (p[label] - max of the others + 1) / 2, low where the label is wrong.
        quality = rank.get_normalized_margin_for_each_label(labels, probabilities)
        slips = slip_probabilities(probabilities, labels)
        ours = 2 * label_scores(probabilities, labels) - slips
        np.testing.assert_allclose(ours, 1 - 2 * quality, atol=1e-12)


def test_nearly_all_issues_of_cleanlab_are_suspects():
    find_label_issues = pytest.importorskip("cleanlab.filter").find_label_issues
    for seed in range(5):
        probabilities, labels = noisy(seed)
        issues = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
        suspects = is_suspect(probabilities, labels)
        assert issues.sum() > 20
        assert suspects[issues].mean() > 0.95
        best = probabilities.argmax(axis=1)
        assert not (suspects & (best == labels)).any()


def test_a_slip_follows_from_the_rule_of_bayes():
    classes, own = 4, 0.2
    right = (1 - SLIP_RATE) * own
    slipped = SLIP_RATE * (1 - own) / (classes - 1)
    found = slip_probabilities(np.array([[0.2, 0.5, 0.2, 0.1]]), np.array([0]))
    assert found[0] == pytest.approx(slipped / (slipped + right))


def test_certainty_is_the_end_of_the_scale():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(label_scores(probabilities, np.array([0, 1])), [-0.5, 1.0])


def test_a_label_of_fewer_classes_is_more_suspicious():
    two = label_scores(np.array([[0.2, 0.8]]), np.array([0]))
    four = label_scores(np.array([[0.2, 0.8, 0.0, 0.0]]), np.array([0]))
    assert two > four


def test_flipped_labels_come_first():
    probabilities, labels = noisy(0, rows=2000)
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    first = np.argsort(-label_scores(sharp, labels), kind="stable")[:200]
    assert (first < 200).mean() > 5 * 0.1


def test_heads_are_ranked_together(held_out):
    rows = held_out(
        (0, 0, {0: (0, [0.3, 0.6, 0.1]), 1: (0, [0.9, 0.1])}),
        (0, 1, {0: (0, [0.9, 0.05, 0.05]), 1: (0, [0.02, 0.98])}),
        (1, 2, {0: (1, [0.9, 0.1])}),
        (1, 3, {0: (1, [0.1, 0.9])}),
        (1, 4, {0: (-1, [0.1, 0.9])}),
    )
    found = find_wrong_labels(rows)
    assert [(each.id, each.task.name, each.label, each.suggested) for each in found] == [
        ("p1", "Sarees/color", "red", "blue"),
        ("p2", "Kurtis/color", "green", "red"),
        ("p0", "Sarees/border", "zari", "none"),
    ]
    assert [each.score for each in found] == sorted((e.score for e in found), reverse=True)
    assert found[0].probability == pytest.approx(0.98)
    assert found[0].probability_of_label == pytest.approx(0.02)
    assert (found[1].row, found[1].group) == (2, 2)


def test_a_head_with_one_class_or_no_row_has_no_wrong_label(held_out):
    rows = held_out((0, 0, {}), (0, 1, {}))
    assert find_wrong_labels(rows) == []
    one = np.ones((3, 1)), np.zeros(3, dtype=np.int64)
    assert not is_suspect(*one).any()
    np.testing.assert_array_equal(label_scores(*one), [-0.5, -0.5, -0.5])


def test_a_class_that_the_model_never_sees_is_no_suspect_by_itself():
    # All rows of the rare class look alike to the model: none is below its mean.
    probabilities = np.tile([0.98, 0.02], (50, 1))
    labels = np.array([1] * 5 + [0] * 45)
    assert not is_suspect(probabilities, labels).any()
