"""Nested parts of the labels, and the line through their scores."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.encoded import Encoded
from visual_taxonomy.training.probing.learning_curve import (
    DRAWS,
    SHARES,
    Now,
    Part,
    expected_gain,
    fit_parts,
    learning_curve,
    nested_order,
)


def test_parts_are_nested_whole_groups_of_every_category():
    random = np.random.default_rng(0)
    categories = random.integers(0, 3, 600)
    groups = random.integers(0, 350, 600)
    order = nested_order(categories, groups, seed=4)
    assert order.max() <= 1.0
    for group in np.unique(groups):
        assert len(np.unique(order[groups == group])) == 1
    for share in SHARES:
        of_categories = np.bincount(categories[order <= share]) / np.bincount(categories)
        # A group that spans categories waits for the last of them, so a part may be smaller.
        assert (of_categories <= share + 1e-9).all()
        assert (of_categories >= 0.75 * share - 0.02).all()
    assert not np.array_equal(order, nested_order(categories, groups, seed=5))


def test_without_groups_a_part_has_its_share_of_each_category():
    order = nested_order(np.arange(80) % 2, np.arange(80), seed=0)
    assert [int((order <= share).sum()) for share in SHARES] == [10, 20, 40, 80]


def test_every_part_but_the_last_is_drawn_several_times():
    rows = Encoded(np.ones((16, 1), np.float32), np.zeros(16, np.int64), np.zeros((16, 1), int))
    sizes: list[int] = []
    done: list[tuple[int, int]] = []

    def answer(part: Encoded) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(part.categories))
        return np.array([len(part.categories)]), np.zeros((4, 1), int)

    parts = fit_parts(rows, np.arange(16), 0, answer, lambda *counts: done.append(counts))
    assert sizes == [2] * DRAWS + [4] * DRAWS + [8] * DRAWS + [16]
    assert done[-1] == (10, 10)
    assert parts[-1].share == 1.0


def test_the_gain_is_that_of_a_power_law_by_least_squares():
    random = np.random.default_rng(0)
    labels, hm = np.array([10.0, 20, 45, 80]), random.uniform(0, 0.9, (5, 4))
    weights = random.uniform(0.5, 2, (5, 4))
    found = expected_gain(labels, hm, weights, Now(80, hm[:, 3]), more=500)
    for row in range(5):
        slope = np.polyfit(np.log(labels), np.log(1 - hm[row]), 1, w=np.sqrt(weights[row]))[0]
        error = (1 - hm[row, 3]) * (580 / 80) ** min(max(slope, -1), 0)
        assert found[row] == pytest.approx(1 - hm[row, 3] - error)
    alike = np.array([0.0, 0, 5])
    assert np.isnan(expected_gain(alike, hm[:, :3], weights[:, :3], Now(5, hm[:, 2]))).all()


@pytest.mark.parametrize(
    ("hm", "expected"),
    [
        ([0.5, 0.8, 1.0], 0.0),  # nothing is left to gain
        ([0.9, 0.5, 0.1], 0.0),  # more labels do no harm
        ([0.1, 0.7, 0.9], 0.1 * (1 - 40 / 540)),  # no error falls faster than 1 / labels
    ],
)
def test_the_gain_is_within_what_labels_can_do(hm, expected):
    labels, scores = np.array([10.0, 20, 40]), np.array([hm])
    gain = expected_gain(labels, scores, np.ones((1, 3)), Now(40, scores[:, 2]), more=500)
    assert gain == pytest.approx(expected)


@pytest.fixture
def planted() -> tuple[Taxonomy, list[Part], np.ndarray]:
    """The errors of `border` halve with each doubling of its labels, `color` gains nothing."""
    taxonomy = Taxonomy.from_dict(
        {"Sarees": {"border": ["a", "b"], "color": ["c", "d"], "x": ["e"]}}
    )
    targets = np.stack([np.arange(800) // 16 % 2] * 2 + [np.full(800, -1)], axis=1)
    parts = []
    for place, share in enumerate(SHARES):
        for draw in range(DRAWS) if share < 1 else [-1]:
            answers = targets.copy()
            wrong = np.arange(800) % 16 < 8 >> place
            answers[wrong, 0] = 1 - targets[wrong, 0]
            answers[::4, 1] = 1 - targets[::4, 1]
            parts.append(Part(share, draw, np.array([80, 80, 0]) * share, answers))
    return taxonomy, parts, targets


def test_the_head_that_gains_most_comes_first(planted):
    taxonomy, parts, targets = planted
    rows = np.arange(800)
    found = learning_curve(taxonomy, parts, targets, 0 * rows, rows)
    border, color = found.curves
    assert (border.task, color.task) == ("Sarees/border", "Sarees/color")
    scores = [point.hm.value for point in border.points]
    assert [point.micro.value for point in border.points] == pytest.approx(
        [0.5, 0.75, 7 / 8, 15 / 16]
    )
    macro = f1_score(targets[:, 0], parts[-1].answers[:, 0], average="macro")
    assert border.points[-1].macro.value == pytest.approx(macro)
    assert border.gain.value == pytest.approx(1 / 16 * (1 - 80 / 580), rel=1e-3)
    assert 0 < border.gain.low < border.gain.value < border.gain.high
    assert color.gain.value == pytest.approx(0, abs=1e-9)
    means = [(a + b.hm.value) / 2 for a, b in zip(scores, color.points, strict=True)]
    assert [point.hm.value for point in found.overall] == pytest.approx(means)
    assert found.backtest == pytest.approx(0, abs=1e-3)


def test_a_curve_without_labels_enough_has_no_gain(planted):
    taxonomy, parts, targets = planted
    rows = np.arange(800)
    alike = [part._replace(labels=np.array([5, 5, 0])) for part in parts]
    found = learning_curve(taxonomy, alike, targets, 0 * rows, rows)
    assert all(np.isnan(curve.gain.value) for curve in found.curves)
    assert np.isnan(found.backtest)
