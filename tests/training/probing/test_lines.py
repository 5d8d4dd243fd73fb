"""The lines beside the linear probe."""

import numpy as np
import pytest

from visual_taxonomy.training.probing.encoded import heads_of
from visual_taxonomy.training.probing.linear import ABSENT_LOGIT, fit_linear_heads, linear_logits
from visual_taxonomy.training.probing.lines import (
    by_slot,
    curve_answers,
    label_counts,
    most_probable,
    softmax,
    without_prior,
)


def test_taking_the_prior_away_divides_the_probabilities_by_the_shares():
    logits = np.array([[0.3, -0.2, 1.1], [2.0, 0.0, -1.0]])
    shares = np.array([60, 30, 10]) / 100
    expected = softmax(logits) / shares
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(without_prior(logits, [60, 30, 10], 1.0)), expected)
    half = softmax(logits) / np.sqrt(shares)
    half /= half.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(without_prior(logits, [60, 30, 10], 0.5)), half)


def test_a_class_without_a_row_stays_behind_and_a_head_without_labels_as_it_is():
    logits = np.array([[0.0, 1.0, ABSENT_LOGIT]])
    assert without_prior(logits, [1, 5000, 0], 1.0).argmin() == 2
    np.testing.assert_array_equal(without_prior(logits, [0, 0, 0], 1.0), logits)


def test_a_row_without_an_image_gets_no_answer(probed, encoded):
    heads = fit_linear_heads(probed, encoded, c=0.1)
    said = [softmax(logits) for logits in linear_logits(probed, heads, encoded)]
    answers = most_probable(by_slot(probed, encoded, said))
    assert (answers[5] == -1).all()
    assert (answers[:120, 2] == -1).all()
    for _, of_category in heads_of(probed):
        for head in of_category:
            rows = encoded.of_category(head.category)
            assert answers[rows, head.slot].tolist() == said[head.number].argmax(axis=1).tolist()


def test_the_answers_of_a_curve_take_half_of_the_prior_away(probed, encoded):
    labels, answers = curve_answers(probed, encoded, encoded, c=0.1)
    counts = label_counts(probed, encoded)
    assert labels.tolist() == [int((encoded.targets[:120, 0] >= 0).sum()), 120, 7, 0, 8]
    assert counts[4].tolist() == [3, 3, 2]
    logits = linear_logits(probed, fit_linear_heads(probed, encoded, c=0.1), encoded)[4]
    expected = (logits - 0.5 * np.log(np.array([3, 3, 2]) / 8)).argmax(axis=1)
    assert answers[encoded.of_category(1), 2].tolist() == expected.tolist()


def test_probabilities_of_large_logits_are_finite():
    assert softmax(np.array([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]
    assert softmax(np.array([[0.0, np.log(3.0)]]))[0].tolist() == pytest.approx([0.25, 0.75])
