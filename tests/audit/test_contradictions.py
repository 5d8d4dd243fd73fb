import pytest

from visual_taxonomy.audit.contradictions import find_contradictions


def facts(found):
    return [(each.id, each.label, each.suggested, each.score) for each in found]


def test_the_label_with_the_larger_mean_probability_is_suggested(held_out):
    rows = held_out(
        (0, 5, {0: (0, [0.6, 0.3, 0.1])}),
        (0, 5, {0: (1, [0.4, 0.5, 0.1])}),
        (0, 5, {0: (0, [0.2, 0.7, 0.1])}),
    )
    # Means 0.4 and 0.5; "woven" is the label of none, so it takes no part.
    found = find_contradictions(rows)
    share = pytest.approx(0.5 / 0.9)
    assert facts(found) == [
        ("p0", "zari", "none", share),
        ("p2", "zari", "none", share),
        ("p1", "none", "none", share),
    ]
    assert [each.group for each in found] == [5, 5, 5]
    assert found[0].probability == pytest.approx(0.3)
    assert found[0].probability_of_label == pytest.approx(0.6)


def test_groups_that_agree_and_labels_of_other_tasks_are_none(held_out):
    rows = held_out(
        (0, 1, {0: (0, [0.6, 0.3, 0.1]), 1: (0, [0.5, 0.5])}),
        (0, 1, {0: (0, [0.1, 0.3, 0.6]), 1: (-1, [0.5, 0.5])}),
        (1, 1, {0: (1, [0.5, 0.5])}),
        (0, 2, {0: (1, [0.1, 0.3, 0.6])}),
    )
    assert find_contradictions(rows) == []


def test_the_surest_contradiction_comes_first_and_whole(held_out):
    rows = held_out(
        (0, 1, {1: (0, [0.6, 0.4])}),
        (1, 2, {0: (0, [0.9, 0.1])}),
        (0, 1, {1: (1, [0.6, 0.4])}),
        (1, 2, {0: (1, [0.9, 0.1])}),
        (0, 3, {1: (0, [0.6, 0.4])}),
        (0, 3, {1: (1, [0.6, 0.4])}),
    )
    found = find_contradictions(rows)
    assert [each.id for each in found] == ["p3", "p1", "p2", "p0", "p5", "p4"]
    assert [each.score for each in found] == pytest.approx([0.9, 0.9, 0.6, 0.6, 0.6, 0.6])


def test_classes_without_any_probability_are_equal(held_out):
    rows = held_out((0, 1, {0: (0, [0, 0, 1.0])}), (0, 1, {0: (1, [0, 0, 1.0])}))
    assert [each.score for each in find_contradictions(rows)] == [0.5, 0.5]
