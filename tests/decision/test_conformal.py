import numpy as np
import pytest

from visual_taxonomy.decision.abstention import FEW_LABELS, GRID
from visual_taxonomy.decision.conformal import count_covered, set_thresholds
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.errors import InputError


def test_the_threshold_is_the_largest_that_keeps_enough_labels():
    own = np.random.default_rng(0).beta(3, 1, 999)
    fine = np.linspace(0, 1, 100_001)
    covered = (own[:, None] >= fine[None, ::10]).sum(axis=0)
    for coverage in (0.5, 0.9, 0.95):
        found = set_thresholds(covered[None], coverage, fine[::10])[0]
        # The published quantile: the ceil((n + 1) coverage)-th smallest of the scores 1 - p.
        exact = 1 - np.sort(1 - own)[int(np.ceil(1000 * coverage - 1e-9)) - 1]
        assert exact - 1e-4 - 1e-12 <= found <= exact


def test_sets_hold_the_true_class_as_often_as_asked():
    generator = np.random.default_rng(0)
    for coverage in (0.8, 0.9):
        held = []
        for _ in range(200):
            p = generator.dirichlet(np.ones(4), 400)
            labels = (p.cumsum(axis=1) > generator.random((400, 1))).argmax(axis=1)
            own = p[np.arange(400), labels]
            least = set_thresholds(np.array([count_covered(own[:200])]), coverage, np.array(GRID))
            held.append((own[200:] >= least).mean())
        # Between coverage and coverage + 1 / (n + 1); the grid adds what lies between its points.
        assert coverage - 0.01 <= np.mean(held) <= coverage + 1 / 201 + 0.02


def test_heads_with_few_labels_take_the_sets_of_all():
    generator = np.random.default_rng(0)
    own = generator.random(1000), generator.beta(9, 1, FEW_LABELS - 1)
    covered = np.array([count_covered(each) for each in own])
    both = set_thresholds(covered, 0.9, np.array(GRID))
    together = np.array([count_covered(np.concatenate(own))])
    assert both[1] == set_thresholds(together, 0.9, np.array(GRID))[0]


def test_too_few_labels_keep_every_class():
    grid = np.array(GRID)
    assert set_thresholds(np.array([count_covered(np.ones(8))]), 0.9, grid).tolist() == [0.0]
    assert set_thresholds(np.array([count_covered(np.ones(9))]), 0.9, grid).tolist() == [0.995]
    assert set_thresholds(np.zeros((1, len(GRID))), 0.9, grid).tolist() == [0.0]


@pytest.mark.parametrize("coverage", [0, 1, 2, float("nan")])
def test_a_coverage_lies_between_0_and_1(coverage):
    with pytest.raises(InputError, match=r"coverage: .* expected a share between 0 and 1"):
        set_thresholds(np.zeros((1, len(GRID))), coverage, np.array(GRID))


def test_an_answer_is_unknown_unless_it_is_the_only_class_left(drawn):
    held_out = drawn(1500)
    decision = fit_decision(held_out)
    other = drawn(1500, seed=1)
    answers = decision.answer(other.probabilities, other.categories, "argmax", coverage=0.8)
    least = decision.set_thresholds(0.8)
    is_kept = answers.probabilities >= least[None, :, None]
    np.testing.assert_array_equal(~answers.is_unknown, is_kept.sum(axis=2) == 1)
    kept = np.take_along_axis(is_kept, np.maximum(other.targets, 0)[..., None], axis=2)[..., 0]
    for head in range(3):
        is_labelled = other.targets[:, head] >= 0
        assert kept[is_labelled, head].mean() > 0.77
    both = decision.answer(other.probabilities, other.categories, "argmax", 0.9, coverage=0.8)
    assert both.is_unknown.sum() >= answers.is_unknown.sum()
