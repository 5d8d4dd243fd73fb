import numpy as np
import pytest
from scipy import stats

from visual_taxonomy.decision.abstention import (
    FEW_ACCEPTED,
    FEW_LABELS,
    GRID,
    LEVEL,
    NEVER,
    count_accepted,
    head_thresholds,
)
from visual_taxonomy.errors import InputError


def counted(confidence, is_error):
    counts = count_accepted(confidence, is_error)
    return np.array(counts.accepted), np.array(counts.errors)


def sample(rows, seed=0, low=0.4):
    """Answers whose confidence is true."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(low, 1.0, rows)
    return confidence, generator.random(rows) > confidence


def test_counts_are_those_at_or_above_each_threshold():
    confidence, is_error = sample(500)
    confidence[:3] = 0.5, 1.0, 0.0
    accepted, errors = counted(confidence, is_error)
    for place, threshold in enumerate(GRID):
        assert accepted[place] == (confidence >= threshold).sum()
        assert errors[place] == (is_error & (confidence >= threshold)).sum()


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_the_threshold_is_the_last_before_the_bound_is_too_high(target):
    accepted, errors = counted(*sample(3000))
    bounds = stats.beta.ppf(1 - LEVEL, errors + 1, np.maximum(accepted - errors, 1e-9))
    expected = NEVER
    for place in reversed(range(len(GRID))):
        if accepted[place] >= FEW_ACCEPTED:
            if bounds[place] > 1 - target:
                break
            expected = GRID[place]
    found = head_thresholds(accepted[None], errors[None], target, np.array(GRID))
    assert found.least[0] == expected


@pytest.mark.parametrize("target", [0.9, 0.95])
def test_precision_on_other_rows_is_the_target(target):
    grid = np.array(GRID)
    kept = right = 0
    for seed in range(100):
        accepted, errors = counted(*sample(1000, seed))
        least = head_thresholds(accepted[None], errors[None], target, grid).least[0]
        confidence, is_error = sample(1000, 1000 + seed)
        kept += (confidence >= least).sum()
        right += (~is_error[confidence >= least]).sum()
    assert right / kept == pytest.approx(target, abs=0.01)


def test_heads_with_few_labels_take_the_threshold_of_all():
    big, small = counted(*sample(4000)), counted(*sample(FEW_LABELS - 1, seed=1))
    both = np.stack([big, small], axis=1)
    grid = np.array(GRID)
    found = head_thresholds(*both, 0.9, grid)
    assert found.is_pooled.tolist() == [False, True]
    together = head_thresholds(*both.sum(axis=1, keepdims=True), 0.9, grid)
    assert found.least[1] == together.least[0]


def test_a_target_that_cannot_be_reached_accepts_nothing():
    confidence = np.full(500, 0.99)
    accepted, errors = counted(confidence, np.arange(500) % 2 == 0)
    found = head_thresholds(accepted[None], errors[None], 0.9, np.array(GRID))
    assert found.least.tolist() == [NEVER]
    nothing = np.zeros((1, len(GRID)), dtype=int)
    assert head_thresholds(nothing, nothing, 0.9, np.array(GRID)).least.tolist() == [NEVER]


def test_a_head_without_errors_accepts_everything():
    accepted, errors = counted(np.linspace(0.1, 1, 400), np.zeros(400, dtype=bool))
    found = head_thresholds(accepted[None], errors[None], 0.95, np.array(GRID))
    assert found.least.tolist() == [0.0]


@pytest.mark.parametrize("target", [0, 1, 1.5, -0.1, float("nan"), float("inf")])
def test_a_target_lies_between_0_and_1(target):
    nothing = np.zeros((1, len(GRID)), dtype=int)
    with pytest.raises(InputError, match="expected a share between 0 and 1"):
        head_thresholds(nothing, nothing, target, np.array(GRID))
