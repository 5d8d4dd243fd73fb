import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from visual_taxonomy.witnesses.known_label_fitting import fit_known_labels
from visual_taxonomy.witnesses.known_labels import KnownLabels


@pytest.fixture(scope="module")
def known(rows) -> KnownLabels:
    return fit_known_labels(rows.taxonomy, rows.categories, rows.targets)


def test_a_head_is_the_regression_on_the_other_labels(rows, known):
    """Kurtis/sleeve from color (2 classes) and occasion (1)."""
    chosen = (rows.categories == 1) & (rows.targets[:, 1] >= 0)
    targets = rows.targets[chosen]
    marks = np.stack([targets[:, 0] == 0, targets[:, 0] == 1, targets[:, 2] == 0], axis=1)
    shares = []
    for label in range(3):
        model = LogisticRegression(C=1.0, solver="liblinear", tol=1e-2, random_state=0)
        model.fit(marks.astype(float), targets[:, 1] == label)
        shares.append(model.predict_proba(marks)[:, 1])
    expected = np.transpose(shares) / np.sum(shares, axis=0)[:, None]
    found = known.probabilities(targets, np.ones(len(targets), int))[:, 1]
    has_other = marks.any(axis=1)
    np.testing.assert_allclose(found[has_other], expected[has_other], atol=0.005)
    assert not found[~has_other].any()


def test_the_label_of_a_cell_does_not_change_its_own_answer(rows, known):
    found = known.probabilities(rows.targets, rows.categories)
    other = rows.targets.copy()
    labelled = other[:, 0] >= 0
    other[labelled, 0] = 1 - np.minimum(other[labelled, 0], 1)
    np.testing.assert_array_equal(known.probabilities(other, rows.categories)[:, 0], found[:, 0])


def test_a_row_with_no_label_says_nothing_and_one_label_says_nothing_of_itself(known):
    found = known.probabilities(np.array([[-1, -1, -1], [0, -1, -1]]), np.zeros(2, int))
    assert not found[0].any()
    assert not found[1, 0].any()
    assert found[1, 1].any()


def test_labels_say_something_of_one_another(rows, known):
    found = known.probabilities(rows.targets, rows.categories)[:, 1]
    labelled = (rows.categories == 1) & (rows.targets[:, 1] >= 0) & found.any(axis=1)
    share = (found.argmax(axis=1) == rows.targets[:, 1])[labelled].mean()
    most = np.bincount(rows.targets[labelled, 1]).max() / labelled.sum()
    assert share > most + 0.05


def test_known_labels_come_back_from_their_arrays(rows, known):
    again = KnownLabels.from_arrays(rows.taxonomy, known.to_arrays())
    np.testing.assert_array_equal(
        again.probabilities(rows.targets, rows.categories),
        known.probabilities(rows.targets, rows.categories),
    )
