import numpy as np

from visual_taxonomy.decision.fitting import fit_decision
from visual_taxonomy.decision.remarks import remarks


def test_a_decision_with_enough_labels_needs_no_remark(drawn):
    decision = fit_decision(drawn(600, spread=6.0))
    assert remarks(decision) == []
    assert remarks(decision, 0.8) == []


def test_heads_without_and_with_few_labels_are_named(drawn):
    held_out = drawn(600, spread=6.0)
    held_out.targets[:, 1] = -1
    held_out.targets[50:, 2] = -1
    decision = fit_decision(held_out)
    bare, few = remarks(decision, 0.8)
    assert bare.startswith("k0/a1: no held-out label")
    assert few.startswith("k0/a2: fewer than 100 held-out labels")
    assert remarks(decision) == [bare]


def test_a_target_out_of_reach_is_said(drawn):
    held_out = drawn(400, sizes=(2, 2, 2, 2, 2))
    held_out.targets[:] = np.random.default_rng(0).permuted(held_out.targets, axis=0)
    (sentence,) = remarks(fit_decision(held_out), 0.95)
    assert sentence == (
        "k0/a0, k0/a1, k0/a2 and 2 more: target precision 0.95 cannot be reached: "
        "every answer is unknown"
    )
