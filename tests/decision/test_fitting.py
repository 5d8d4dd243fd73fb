import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.cross_fitted import cross_fitted
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.rule import RULES
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate


def test_what_a_decision_was_fitted_on_is_kept(drawn):
    held_out = drawn(300)
    decision = fit_decision(held_out, folds=4, source="val.csv")
    ids = "\n".join(sorted(held_out.ids))
    assert decision.fitted_on.source == "val.csv"
    assert (decision.fitted_on.rows, decision.fitted_on.folds) == (300, 4)
    assert decision.fitted_on.labels == (held_out.targets >= 0).sum()
    assert decision.fitted_on.digest == hashlib.sha256(ids.encode()).hexdigest()
    assert [head.labels for head in decision.heads] == (held_out.targets >= 0).sum(axis=0).tolist()


def test_temperature_and_prior_exponent_are_found(drawn):
    decision = fit_decision(drawn(4000, temperature=2.0, tau=0.6))
    for head in decision.heads:
        assert head.temperature == pytest.approx(2.0, rel=0.1)
        assert head.prior_exponent == pytest.approx(0.3, abs=0.1)


def test_a_model_of_adjusted_logits_is_given_its_score_back(drawn):
    fit, judge = drawn(3000, tau=1.5), drawn(3000, tau=1.5, seed=1)
    decision = fit_decision(fit)
    scores = {
        rule: evaluate(
            judge.taxonomy,
            decision.answer(judge.probabilities, judge.categories, rule).classes,
            judge.targets,
            judge.categories,
        ).hm
        for rule in ("argmax", "metric")
    }
    assert scores["metric"] > scores["argmax"] + 0.02


def test_where_nothing_pays_the_rule_is_argmax(drawn):
    # The shares of all classes are equal, so tau changes nothing, and offsets want more labels.
    held_out = drawn(300, sizes=(2, 3))
    held_out = replace(held_out, class_counts={"k0/a0": [5, 5], "k0/a1": [5, 5, 5]})
    decision = fit_decision(held_out)
    assert decision.rule == "argmax"
    argmax, metric = (
        decision.answer(held_out.probabilities, held_out.categories, rule).classes
        for rule in ("argmax", "metric")
    )
    np.testing.assert_array_equal(argmax, metric)


def test_the_same_seed_gives_the_same_decision_and_json_keeps_it(drawn):
    held_out = drawn(400)
    decision = fit_decision(held_out, seed=3)
    assert fit_decision(held_out, seed=3) == decision
    values = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert Decision.from_dict(held_out.taxonomy, values) == decision


def test_odd_heads_get_an_answer(drawn):
    held_out = drawn(300, sizes=(1, 3, 4), categories=3)
    targets = held_out.targets.copy()
    targets[:, 1] = -1  # no label at all
    targets[held_out.categories == 1] = -1  # a category without labels
    held_out.class_counts["k0/a2"][3] = 0  # a class that never occurs in training
    targets[(targets[:, 2] == 3), 2] = -1  # nor in the held-out rows
    probabilities = held_out.probabilities.copy()
    held_out.categories[0] = 0
    probabilities[0] = np.nan
    held_out = replace(held_out, targets=targets, probabilities=probabilities)
    held_out = held_out.take(held_out.categories != 2)  # a category without rows
    found = cross_fitted(held_out, target_precision=0.9, samples=20)
    heads = found.decision.heads
    assert [head.is_pooled for head in heads] == [False, True, False] + [True] * 6
    assert len({head.temperature for head in heads if head.is_pooled}) == 1
    assert found.metric.classes[0].tolist() == [-1, -1, -1]
    assert found.metric.is_unknown[0].all()
    assert np.isfinite(found.metric.probabilities).all()
    answers = found.decision.answer(probabilities[1:], np.full(299, 2), target_precision=0.95)
    assert (answers.classes >= 0).all()
    json.dumps(found.decision.to_dict(), allow_nan=False)


def test_too_few_products_are_refused(drawn):
    with pytest.raises(InputError, match="at least 2"):
        fit_decision(drawn(1))
    with pytest.raises(InputError, match="folds: 0, expected 2 or more"):
        fit_decision(drawn(10), folds=0)


def test_two_products_are_enough_to_answer(drawn):
    held_out = drawn(2)
    decision = fit_decision(held_out)
    answers = decision.answer(held_out.probabilities, held_out.categories, target_precision=0.9)
    assert answers.is_unknown.all()  # two labels reach no precision
    assert (answers.classes >= 0).all()
    assert decision.rule in RULES
