from dataclasses import replace

import numpy as np
import pytest

from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.judged import judge, was_fitted_on
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate
from visual_taxonomy.taxonomy import Taxonomy


@pytest.fixture
def halves(taxonomy):
    """Rows to fit on, and others to judge on; the model is too sure."""
    generator, rows = np.random.default_rng(0), 400
    categories = np.arange(rows) % 2
    probabilities = np.zeros((rows, taxonomy.num_slots, 3), dtype=np.float32)
    targets = np.full((rows, taxonomy.num_slots), -1)
    for row, category in enumerate(categories):
        for slot, index in enumerate(taxonomy.slots[category]):
            size = len(taxonomy.tasks[index].classes)
            targets[row, slot] = generator.integers(size)
            logits = generator.normal(size=size) + (np.arange(size) == targets[row, slot])
            sharp = np.exp(3 * logits)
            probabilities[row, slot, :size] = sharp / sharp.sum()
    counts = {task.name: [5] * len(task.classes) for task in taxonomy.tasks}
    ids = np.arange(rows).astype(str)
    whole = HeldOut(taxonomy, counts, ids, categories, np.arange(rows), probabilities, targets)
    return whole.take(np.arange(rows) < 200), whole.take(np.arange(rows) >= 200)


def test_answers_and_scores_are_those_of_the_decision(halves):
    seen, others = halves
    decision = fit_decision(seen)
    found = judge(decision, others)
    expected = decision.answer(others.probabilities, others.categories, "metric")
    np.testing.assert_array_equal(found.metric.classes, expected.classes)
    report = evaluate(others.taxonomy, expected.classes, others.targets, others.categories)
    assert found.scores[decision.rule].hm.value == pytest.approx(report.hm)
    assert set(found.scores) == {"argmax", decision.rule}


def test_a_calibration_fitted_elsewhere_halves_the_error(halves):
    seen, others = halves
    found = judge(fit_decision(seen), others)
    assert found.after.ece.value < found.before.ece.value / 2


def test_targets_are_reported_with_the_one_asked_for(halves):
    seen, others = halves
    found = judge(fit_decision(seen), others, target_precision=0.8)
    assert [each.target for each in found.precision] == [0.8, 0.9, 0.95]


def test_classes_that_the_model_does_not_know_are_never_answered(halves, taxonomy):
    seen, others = halves
    names = taxonomy.to_dict()
    names["Sarees"]["border"].append("lace")
    counts = {**others.class_counts, "Sarees/border": [5, 5, 5, 0]}
    wider = np.pad(others.probabilities, ((0, 0), (0, 0), (0, 1)))
    rows = replace(
        others, taxonomy=Taxonomy.from_dict(names), class_counts=counts, probabilities=wider
    )
    decision = fit_decision(seen)
    found = judge(decision, rows)
    assert found.argmax.probabilities.shape == wider.shape
    np.testing.assert_array_equal(found.metric.classes, judge(decision, others).metric.classes)


def test_the_rows_it_was_fitted_on_are_known(halves):
    seen, others = halves
    decision = fit_decision(seen)
    assert was_fitted_on(decision, seen.take(np.arange(200)[::-1]))
    assert not was_fitted_on(decision, others)


def test_rows_without_a_label_are_refused(halves):
    seen, others = halves
    blank = replace(others, targets=np.full_like(others.targets, -1))
    with pytest.raises(InputError, match="nothing to score: no row has a label"):
        judge(fit_decision(seen), blank)
