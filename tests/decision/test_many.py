import numpy as np
import pytest
from scipy import stats

from visual_taxonomy.decision.many import holm, mean_ranks, pareto_front, wilcoxon
from visual_taxonomy.errors import InputError


def test_holm_is_the_definition_written_out() -> None:
    # By hand: 3 x 0.01; 2 x 0.02; then 1 x 0.04, which is no less than the one before.
    assert holm([0.02, 0.04, 0.01]) == [0.04, 0.04, 0.03]
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_critical_difference_is_that_of_the_paper() -> None:
    # Demsar 2006, section 3.2.2: 4 classifiers on 14 data sets, q = 2.569, difference 1.25.
    scores = np.random.default_rng(0).random((4, 14))
    assert mean_ranks(scores).critical_difference == pytest.approx(1.25, abs=0.005)


def test_the_friedman_test_is_that_of_scipy() -> None:
    scores = np.random.default_rng(0).integers(0, 4, (3, 20)).astype(float)
    assert mean_ranks(scores).p_value == pytest.approx(stats.friedmanchisquare(*scores).pvalue)


def test_heads_without_a_score_are_left_out_of_the_ranks() -> None:
    scores = np.array([[0.9, 0.9, np.nan], [0.1, 0.9, 0.1]])
    ranks = mean_ranks(scores)
    assert (ranks.heads, ranks.means) == (2, [1.25, 1.75])


def test_variants_that_tie_in_every_head_are_alike() -> None:
    assert mean_ranks(np.full((3, 5), 0.5)).p_value == 1.0


def test_ranks_need_two_variants_and_two_heads() -> None:
    with pytest.raises(InputError, match="ranks of 1 variants over 3 heads"):
        mean_ranks(np.ones((1, 3)))


def test_the_signed_rank_test_leaves_heads_without_a_score_out() -> None:
    first, second = np.random.default_rng(0).random((2, 12))
    expected = stats.wilcoxon(second - first).pvalue
    with_gap = np.append(first, np.nan), np.append(second, 0.5)
    assert wilcoxon(*with_gap) == pytest.approx(expected)
    assert wilcoxon(first, first) == 1.0


def test_what_costs_more_and_scores_no_better_is_not_on_the_front() -> None:
    assert pareto_front([3.0, 1.0, 2.0, 2.0], [0.6, 0.5, 0.5, 0.55]) == [1, 3, 0]
