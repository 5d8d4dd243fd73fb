import numpy as np
import pytest

from visual_taxonomy.decision.cells import read_cells
from visual_taxonomy.decision.rule import (
    TAUS,
    Rule,
    chosen_classes,
    count_taus,
    fit_taus,
    simplest,
)
from visual_taxonomy.decision.score_counts import ScoreCounts
from visual_taxonomy.evaluation import evaluate


def fitted(held_out, shrinkage=100.0, without=frozenset()):
    cells = read_cells(held_out)
    counts = ScoreCounts(held_out.taxonomy)
    folds = np.arange(len(cells)) % 3
    sums = count_taus(counts, cells, folds, 3).without(without)
    return cells, counts, sums, fit_taus(counts, sums, shrinkage)


def test_tau_of_zero_is_the_most_probable_class(drawn):
    held_out = drawn(300)
    cells = read_cells(held_out)
    classes = chosen_classes(cells, Rule(np.zeros(3), None))
    expected = held_out.probabilities[cells.rows, cells.slots].argmax(axis=1)
    np.testing.assert_array_equal(classes, expected)


def test_the_rule_is_that_of_its_formula(drawn):
    cells = read_cells(drawn(300))
    offsets = np.random.default_rng(0).normal(size=(3, 6))
    tau = np.array([0.1, 0.5, -0.4])
    scores = cells.logs - tau[cells.heads, None] * cells.log_prior[cells.heads]
    scores += offsets[cells.heads]
    scores[~cells.has_class[cells.heads]] = -np.inf
    np.testing.assert_array_equal(chosen_classes(cells, Rule(tau, offsets)), scores.argmax(axis=1))


def test_counted_scores_are_those_of_evaluate(drawn):
    held_out = drawn(400, categories=2)
    cells, counts, sums, _ = fitted(held_out)
    for place in (0, 10, 14):
        predicted = np.full(held_out.targets.shape, -1)
        rule = Rule(np.full(6, TAUS[place]), None)
        predicted[cells.rows, cells.slots] = chosen_classes(cells, rule)
        report = evaluate(held_out.taxonomy, predicted, held_out.targets, held_out.categories)
        ours = counts.hm(sums.labels[0], sums.predicted[place], sums.correct[place])
        assert ours == pytest.approx(report.hm)


def test_folds_left_out_are_not_counted(drawn):
    held_out = drawn(300)
    cells = read_cells(held_out)
    counts = ScoreCounts(held_out.taxonomy)
    folds = np.arange(len(cells)) % 3
    found = count_taus(counts, cells, folds, 3).without(frozenset({1}))
    rest = cells.take(folds != 1)
    alone = count_taus(counts, rest, np.zeros(len(rest), dtype=int), 1).without(frozenset())
    for ours, theirs in zip(found, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_infinite_shrinkage_gives_every_head_the_one_tau(drawn):
    *_, (one, of_heads) = fitted(drawn(400), shrinkage=np.inf)
    assert of_heads.tolist() == [one] * 3
    *_, (one, of_heads) = fitted(drawn(400), shrinkage=1e6)
    assert of_heads.tolist() == [one] * 3


def test_without_shrinkage_each_head_has_its_best_tau(drawn):
    _, counts, sums, (_, of_heads) = fitted(drawn(400), shrinkage=0.0)
    labels = np.broadcast_to(sums.labels, sums.predicted.shape)
    best = counts.scores(labels, sums.predicted, sums.correct).hm.argmax(axis=0)
    assert of_heads.tolist() == TAUS[best].tolist()


def test_a_model_of_adjusted_logits_wants_a_lower_tau(drawn):
    taus = [fitted(drawn(4000, tau=tau))[3][0] for tau in (0.0, 0.5, 1.0)]
    # log p + tau log prior is what the rule has to undo, whatever the best exponent is.
    assert taus[0] - taus[1] == pytest.approx(0.5, abs=0.21)
    assert taus[1] - taus[2] == pytest.approx(0.5, abs=0.21)


def test_without_labels_tau_is_zero(drawn):
    held_out = drawn(30)
    held_out.targets[:] = -1
    *_, (one, of_heads) = fitted(held_out)
    assert (one, of_heads.tolist()) == (0.0, [0.0] * 3)


def test_a_head_without_labels_has_the_one_tau(drawn):
    held_out = drawn(3000, tau=1.0)
    held_out.targets[:, 1] = -1
    *_, (one, of_heads) = fitted(held_out)
    assert one != 0
    assert of_heads[1] == one


def test_the_simplest_of_equally_good_rules_is_taken():
    noise = np.random.default_rng(0).normal(0, 0.01, 200)
    draws = np.stack([0.60 + noise, 0.601 - noise, 0.65 + noise])
    assert simplest(np.array([0.60, 0.601, 0.65]), draws) == 2
    assert simplest(np.array([0.60, 0.601, 0.59]), draws) == 0
    assert simplest(np.array([0.60, 0.60, 0.60]), draws) == 0
