import numpy as np
import pytest

from visual_taxonomy.audit.lists import audit_labels, cross_fitted_answers
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.errors import InputError


@pytest.fixture
def rows(held_out):
    """200 kurtis: the model is 90 % sure of the color, and 97 % right; 20 labels are unknown."""
    colors = np.random.default_rng(0).integers(0, 2, 200)
    wrong = {5, 50, 100, 150, 190}
    answers = np.where(np.isin(np.arange(200), list(wrong)), 1 - colors, colors)
    return held_out(
        *(
            (1, row, {0: (-1 if row % 10 == 3 else color, np.eye(2)[answer] * 0.8 + 0.1)})
            for row, (color, answer) in enumerate(zip(colors.tolist(), answers, strict=True))
        )
    )


def test_the_lists_are_of_what_they_are_called(rows):
    lists = audit_labels(rows, 0.85)
    assert {each.row for each in lists.likely_wrong} == {5, 50, 100, 150, 190}
    assert lists.contradictions == []
    assert {each.row for each in lists.fillable} == set(range(3, 200, 10))
    assert list(lists.by_name()) == ["likely_wrong", "contradictions", "fillable"]
    # Calibrated: right in 175 of 180, so surer than the 90 % of the model.
    assert all(each.probability > 0.9 for each in lists.fillable)


def test_a_row_is_answered_by_a_fit_without_it(rows):
    found = cross_fitted_answers(rows, 0.85)
    whole = fit_decision(rows).answer(rows.probabilities, rows.categories, "argmax", 0.85)
    assert (found.classes == whole.classes).all()
    assert (found.probabilities != whole.probabilities).any()
    np.testing.assert_allclose(found.probabilities, whole.probabilities, atol=0.05)
    again = cross_fitted_answers(rows, 0.85)
    np.testing.assert_array_equal(found.probabilities, again.probabilities)


def test_an_unreachable_precision_fills_nothing(rows):
    assert audit_labels(rows, 0.999).fillable == []


def test_one_product_is_too_few(rows):
    with pytest.raises(InputError, match="1 held-out products"):
        audit_labels(rows.take(np.array([0])), 0.9)
