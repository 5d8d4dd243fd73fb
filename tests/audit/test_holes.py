import numpy as np

from visual_taxonomy.audit.holes import find_fillable_holes
from visual_taxonomy.decision.decision import Answers


def test_sure_answers_of_unknown_labels_are_listed_by_their_probability(held_out):
    rows = held_out(
        (0, 1, {0: (-1, [0.7, 0.2, 0.1]), 1: (0, [0.9, 0.1])}),  # the second is known
        (0, 2, {0: (-1, [0.1, 0.8, 0.1]), 1: (-1, [0.5, 0.5])}),  # the second is not sure
        (1, 3, {0: (-1, [0.1, 0.9])}),  # a category without the second slot
        (0, 4, {}),  # without any answer
    )
    answers = Answers(
        rows.probabilities,
        np.array([[0, 0], [1, 0], [1, -1], [-1, -1]]),
        np.full((4, 2), -1),
        np.array([[False, False], [False, True], [False, False], [True, False]]),
    )
    found = find_fillable_holes(rows, answers)
    assert [(each.id, each.task.name, each.suggested) for each in found] == [
        ("p2", "Kurtis/color", "green"),
        ("p1", "Sarees/border", "none"),
        ("p0", "Sarees/border", "zari"),
    ]
    assert np.allclose([each.score for each in found], [0.9, 0.8, 0.7])
    assert {(each.label, each.probability_of_label) for each in found} == {(None, None)}
    assert [(each.row, each.group) for each in found] == [(2, 3), (1, 2), (0, 1)]
