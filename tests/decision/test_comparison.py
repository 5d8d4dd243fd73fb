from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from visual_taxonomy.decision.comparison import compare
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

NAMES = ("runs/a", "runs/b")
ROWS = 300


def predicted(taxonomy, skill, seed):
    """Rows of two categories; the labels are the same for all, the answers depend on the seed."""
    labels, noise = np.random.default_rng(0), np.random.default_rng(seed)
    categories = np.arange(ROWS) % 2
    probabilities = np.zeros((ROWS, taxonomy.num_slots, 3), dtype=np.float32)
    targets = np.full((ROWS, taxonomy.num_slots), -1)
    for row, category in enumerate(categories):
        for slot, index in enumerate(taxonomy.slots[category]):
            size = len(taxonomy.tasks[index].classes)
            targets[row, slot] = labels.integers(size)
            logits = noise.normal(size=size) + skill * (np.arange(size) == targets[row, slot])
            probabilities[row, slot, :size] = np.exp(logits) / np.exp(logits).sum()
    counts = {task.name: [1] * len(task.classes) for task in taxonomy.tasks}
    ids = np.arange(ROWS).astype(str)
    return HeldOut(taxonomy, counts, ids, categories, np.arange(ROWS), probabilities, targets)


@pytest.fixture
def weak(taxonomy):
    return predicted(taxonomy, skill=0.3, seed=1)


@pytest.fixture
def strong(taxonomy):
    return predicted(taxonomy, skill=1.5, seed=2)


def test_a_run_does_not_differ_from_itself(weak):
    found = compare(weak, weak, NAMES, samples=200)
    assert found.rows == ROWS
    for differences in (found.overall, *found.attributes.values()):
        for each in differences:
            assert (each.difference, each.low, each.high, each.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_clear_difference_is_seen_and_changes_its_sign(weak, strong):
    found, mirrored = compare(weak, strong, NAMES), compare(strong, weak, NAMES)
    assert 0 < found.overall.hm.low < found.overall.hm.difference < found.overall.hm.high
    assert found.overall.hm.p_value < 0.01
    assert mirrored.overall.hm.difference == -found.overall.hm.difference


def test_scores_of_an_attribute_are_those_of_scikit_learn(weak, strong):
    found = compare(weak, strong, NAMES, samples=100).attributes["Kurtis/sleeve"]
    rows = weak.categories == 1
    labels = weak.targets[rows, 1]
    for value, held_out in ((found.macro.first, weak), (found.macro.second, strong)):
        answers = held_out.probabilities[rows, 1].argmax(axis=1)
        assert value == pytest.approx(f1_score(labels, answers, average="macro"))


def test_the_order_of_the_rows_does_not_matter(weak, strong):
    turned = strong.take(np.arange(ROWS)[::-1])
    assert compare(weak, turned, NAMES, 200) == compare(weak, strong, NAMES, 200)


def test_unanswered_rows_are_missed(weak):
    probabilities = weak.probabilities.copy()
    probabilities[:100] = np.nan
    found = compare(weak, replace(weak, probabilities=probabilities), NAMES, samples=100)
    assert found.overall.micro.difference < 0


def test_attributes_without_a_label_are_left_out(weak):
    targets = weak.targets.copy()
    targets[weak.categories == 0, 0] = -1
    blank = replace(weak, targets=targets)
    assert "Sarees/border" not in compare(blank, blank, NAMES, samples=100).attributes


def of_one_attribute(correct_first, correct_second):
    """Two models, each right where it is said; labels and answers are zari or no."""
    rows = len(correct_first)
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
    labels = np.arange(rows) % 2
    arrays = np.arange(rows).astype(str), np.zeros(rows, dtype=np.int64), np.arange(rows)
    for is_correct in (correct_first, correct_second):
        answers = np.where(is_correct, labels, 1 - labels)
        probabilities = np.eye(2, dtype=np.float32)[answers][:, None]
        counts = {"Sarees/border": [1, 1]}
        yield HeldOut(taxonomy, counts, *arrays, probabilities, labels[:, None])


def test_one_product_that_differs_shows_nothing():
    right = np.ones(30, dtype=bool)
    one_wrong = right.copy()
    one_wrong[7] = False
    for each in compare(*of_one_attribute(one_wrong, right), NAMES).overall:
        assert each.difference > 0
        assert each.low == 0
        assert each.p_value == 1


@pytest.mark.parametrize(("gained", "lost"), [(5, 0), (9, 2), (20, 10)])
def test_the_p_value_of_micro_is_that_of_the_exact_sign_test(gained, lost):
    first, second = np.ones((2, 80), dtype=bool)
    first[:gained], second[40 : 40 + lost] = False, False
    found = compare(*of_one_attribute(first, second), NAMES, samples=20_000).overall.micro
    assert found.difference == pytest.approx((gained - lost) / 80)
    exact = binomtest(lost, gained + lost).pvalue
    assert found.p_value == pytest.approx(exact, abs=0.01)


def test_the_range_of_micro_is_that_of_a_mean_of_differences():
    generator = np.random.default_rng(3)
    first, second = generator.random((2, 1000)) < [[0.6], [0.65]]
    found = compare(*of_one_attribute(first, second), NAMES).overall.micro
    deviation = (second.astype(float) - first).std() / 1000**0.5
    assert found.low == pytest.approx(found.difference - 1.96 * deviation, abs=0.004)
    assert found.high == pytest.approx(found.difference + 1.96 * deviation, abs=0.004)


def test_near_duplicates_are_drawn_together(weak, strong):
    copies = {
        name: each.take(np.repeat(np.arange(ROWS), 4))
        for name, each in (("weak", weak), ("strong", strong))
    }
    ids = np.arange(4 * ROWS).astype(str)
    first, second = (replace(each, ids=ids) for each in copies.values())
    alone = compare(weak, strong, NAMES, 400).overall
    assert compare(first, second, NAMES, 400).overall == alone


def test_rows_without_a_label_are_refused(weak):
    blank = replace(weak, targets=np.full_like(weak.targets, -1))
    with pytest.raises(InputError, match="nothing to compare: no row has a label"):
        compare(blank, blank, NAMES)


def test_different_rows_are_refused(weak, strong):
    with pytest.raises(
        InputError,
        match=r"runs/a and runs/b were judged on different rows: only runs/a has 2, such as '298'; "
        r".*`split_path`",
    ):
        compare(weak, strong.take(np.arange(ROWS - 2)), NAMES)


def test_different_labels_are_refused(weak, strong):
    targets = strong.targets.copy()
    targets[4, 0] = -1
    with pytest.raises(InputError, match=r"1 rows have other labels, such as id '4'"):
        compare(weak, replace(strong, targets=targets), NAMES)


def test_different_taxonomies_are_refused(weak):
    other = Taxonomy.from_dict(
        {**weak.taxonomy.to_dict(), "Sarees": {"border": ["a", "b", "c"], "color": ["d", "e"]}}
    )
    counts = {task.name: [1] * len(task.classes) for task in other.tasks}
    with pytest.raises(InputError, match="have different taxonomies"):
        compare(weak, replace(weak, taxonomy=other, class_counts=counts), NAMES)
