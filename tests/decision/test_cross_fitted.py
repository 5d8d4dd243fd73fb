import json
from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.cross_fitted import cross_fitted
from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate


def score(held_out, answers):
    return evaluate(held_out.taxonomy, answers.classes, held_out.targets, held_out.categories).hm


@pytest.fixture(scope="module")
def found(drawn):
    held_out = drawn(2500, temperature=2.0)
    return held_out, cross_fitted(held_out, target_precision=0.8, samples=50)


def test_the_decision_is_that_of_all_rows(found):
    held_out, result = found
    assert result.decision == fit_decision(held_out)


def test_scores_are_those_of_the_answers(found):
    held_out, result = found
    assert result.scores["argmax"].hm.value == pytest.approx(score(held_out, result.argmax))
    assert result.scores["chosen"].hm.value == pytest.approx(score(held_out, result.metric))
    assert result.gain.hm.difference == pytest.approx(
        result.scores["chosen"].hm.value - result.scores["argmax"].hm.value
    )


def test_calibration_errors_are_halved_on_rows_not_fitted_on(found):
    _, result = found
    assert result.after.ece.value < result.before.ece.value / 2
    assert result.after.nll.high < result.before.nll.low
    assert result.after.brier.value < result.before.brier.value


def test_targets_are_reached_on_rows_not_fitted_on(found):
    _, result = found
    assert [each.target for each in result.precision] == [0.8, 0.9, 0.95]
    for each in result.precision:
        assert each.withholding.precision == pytest.approx(each.target, abs=0.03)
        assert each.overall.accepted >= each.withholding.accepted


def test_answers_withheld_are_those_counted(found):
    held_out, result = found
    is_labelled = held_out.targets >= 0
    kept = is_labelled & ~result.metric.is_unknown
    assert sum(head.accepted for head in result.precision[0].heads.values()) == kept.sum()
    is_right = kept & (result.metric.classes == held_out.targets)
    assert sum(head.correct for head in result.precision[0].heads.values()) == is_right.sum()


def test_no_row_is_answered_by_a_fit_that_has_seen_its_label(drawn):
    held_out = drawn(200)
    first = cross_fitted(held_out, samples=10)
    targets = held_out.targets.copy()
    targets[7] = (targets[7] + 1) % 2
    second = cross_fitted(replace(held_out, targets=targets), samples=10)
    for ours, theirs in zip(first.metric, second.metric, strict=True):
        np.testing.assert_array_equal(ours[7], theirs[7])
    assert (first.metric.probabilities != second.metric.probabilities).any()


def test_noise_gains_nothing(drawn):
    held_out = drawn(400)
    targets = np.random.default_rng(0).permuted(held_out.targets, axis=0)
    noise = cross_fitted(replace(held_out, targets=targets), samples=50)
    assert noise.precision[-1].overall.coverage == 0
    assert noise.precision[-1].unreachable == held_out.taxonomy.task_names
    assert noise.gain.hm.low <= 0.03


def test_figures_are_plain_values(found):
    _, result = found
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["rule"] == result.decision.rule
    assert values["scores"]["one tau"]["hm"] == list(result.scores["one tau"].hm)
    assert values["precision"][1]["overall"]["coverage"] == result.precision[1].overall.coverage
    assert values["after"]["ece"][0] == result.after.ece.value


def test_wrong_targets_and_rows_without_labels_are_refused(drawn):
    with pytest.raises(InputError, match="expected a share between 0 and 1"):
        cross_fitted(drawn(20), target_precision=1.0)
    held_out = drawn(20)
    held_out.targets[:] = -1
    with pytest.raises(InputError, match="nothing to score"):
        cross_fitted(held_out)
