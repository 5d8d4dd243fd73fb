from collections import Counter

import numpy as np
import pytest

from visual_taxonomy.synthetic.labels import (
    LABEL_NOISE,
    as_catalogued,
    draw_labels,
    synthetic_taxonomy,
)

ROWS = 3000
TAXONOMY = synthetic_taxonomy()


@pytest.fixture(scope="module")
def products():
    return [draw_labels(1, row) for row in range(ROWS)]


@pytest.fixture(scope="module")
def written(products):
    return [
        as_catalogued(category, labels, 1, row) for row, (category, labels) in enumerate(products)
    ]


def test_the_categories_are_those_of_the_competition():
    assert TAXONOMY.categories == (
        "Men Tshirts",
        "Sarees",
        "Kurtis",
        "Women Tshirts",
        "Women Tops & Tunics",
    )


def test_there_are_some_forty_tasks_of_five_to_ten_a_category():
    assert 35 <= len(TAXONOMY.tasks) <= 42
    for category in TAXONOMY.categories:
        assert 5 <= len(TAXONOMY.attributes(category)) <= 10
    assert TAXONOMY.num_slots == 10


def test_default_is_an_ordinary_class_of_some_heads():
    with_default = sum("default" in task.classes for task in TAXONOMY.tasks)
    assert 5 < with_default < len(TAXONOMY.tasks)


def test_every_product_has_one_class_of_every_attribute(products):
    for category, labels in products:
        assert tuple(labels) == TAXONOMY.attributes(category)
        for attribute, label in labels.items():
            assert label in TAXONOMY.task(category, attribute).classes


def test_categories_are_uneven(products):
    shares = Counter(category for category, _ in products)
    assert 0.08 < min(shares.values()) / ROWS < 0.14
    assert 0.22 < max(shares.values()) / ROWS < 0.32


def test_every_class_occurs(products):
    seen = {(c, attribute, label) for c, labels in products for attribute, label in labels.items()}
    for task in TAXONOMY.tasks:
        assert {(task.category, task.attribute, label) for label in task.classes} <= seen


def test_tails_are_as_long_as_in_a_real_catalogue(products):
    counts: dict[str, Counter[str]] = {name: Counter() for name in TAXONOMY.task_names}
    for category, labels in products:
        for attribute, label in labels.items():
            counts[f"{category}/{attribute}"][label] += 1
    ratios = [max(c.values()) / min(c.values()) for c in counts.values()]
    assert 8 < np.median(ratios) < 14
    assert min(ratios) < 3
    assert 35 < max(ratios) < 90


@pytest.mark.parametrize(
    ("category", "attribute", "label", "dependent", "implied"),
    [
        ("Women Tshirts", "pattern", "solid", "print_or_pattern_type", "solid"),
        ("Men Tshirts", "pattern", "striped", "print_or_pattern_type", "stripes"),
        ("Sarees", "border", "no border", "border_width", "no border"),
        ("Kurtis", "sleeve_length", "sleeveless", "sleeve_styling", "sleeveless"),
    ],
)
def test_what_one_label_implies_holds_there_and_nowhere_else(
    products, category, attribute, label, dependent, implied
):
    pairs = [
        (labels[attribute] == label, labels[dependent] == implied)
        for c, labels in products
        if c == category
    ]
    assert (True, True) in pairs
    assert all(driver == follower for driver, follower in pairs)


def test_labels_lean_on_one_another(products):
    tees = [labels for category, labels in products if category == "Men Tshirts"]
    polos = [labels["pattern"] == "solid" for labels in tees if labels["neck"] == "polo"]
    others = [labels["pattern"] == "solid" for labels in tees if labels["neck"] != "polo"]
    assert np.mean(polos) > np.mean(others) + 0.1


def test_holes_are_as_many_as_in_a_real_catalogue(products, written):
    known: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    for (category, labels), kept in zip(products, written, strict=True):
        known.update(f"{category}/{attribute}" for attribute in kept)
        all_of.update(f"{category}/{attribute}" for attribute in labels)
    missing = [1 - known[name] / all_of[name] for name in TAXONOMY.task_names]
    assert min(missing) < 0.05
    assert 0.94 < max(missing) < 0.99
    assert 1 - known.total() / all_of.total() == pytest.approx(0.27, abs=0.02)


def test_holes_gather_on_the_same_products(products, written):
    """The count of holes varies more from row to row than independent holes would let it."""
    counts = [
        sum(name not in kept for name in ("color", "pattern", "length", "fit_shape", "neck_collar"))
        for (category, _), kept in zip(products, written, strict=True)
        if category == "Women Tops & Tunics"
    ]
    share = np.mean(counts) / 5
    assert np.var(counts) > 1.5 * 5 * share * (1 - share)


def test_few_of_the_written_labels_are_wrong(products, written):
    wrong = total = 0
    for (category, labels), kept in zip(products, written, strict=True):
        total += len(kept)
        wrong += sum(label != labels[attribute] for attribute, label in kept.items())
        for attribute, label in kept.items():
            assert label in TAXONOMY.task(category, attribute).classes
    assert wrong / total == pytest.approx(LABEL_NOISE, abs=0.005)


def test_a_row_depends_on_seed_and_number_alone():
    assert draw_labels(5, 17) == draw_labels(5, 17)
    assert [draw_labels(5, row) for row in range(9)] != [draw_labels(6, row) for row in range(9)]
