import json

import numpy as np
import pytest
from scipy import stats

from visual_taxonomy.decision.cells import read_cells
from visual_taxonomy.decision.decision import plain_answers
from visual_taxonomy.decision.precision import Achieved, Precision, achieved_precision


def test_counts_are_those_of_the_labelled_and_published_cells(drawn):
    held_out = drawn(500)
    answers = plain_answers(held_out.taxonomy, held_out.probabilities, held_out.categories)
    is_unknown = answers.probabilities.max(axis=2) < 0.7
    found = achieved_precision(
        read_cells(held_out), answers._replace(is_unknown=is_unknown), 0.9, ("k0/a0",)
    )
    for slot, head in enumerate(found.heads.values()):
        is_labelled = held_out.targets[:, slot] >= 0
        kept = is_labelled & ~is_unknown[:, slot]
        right = kept & (answers.classes[:, slot] == held_out.targets[:, slot])
        assert head == Achieved(is_labelled.sum(), kept.sum(), right.sum())
        assert head.precision == pytest.approx(right.sum() / kept.sum())
        assert head.coverage == pytest.approx(kept.sum() / is_labelled.sum())
    assert found.pooled == ("k0/a0",)


def test_totals_are_of_heads_with_enough_labels():
    heads = {
        "full": Achieved(400, 400, 390),
        "some": Achieved(300, 100, 90),
        "none": Achieved(200, 0, 0),
        "few": Achieved(199, 199, 0),
        "empty": Achieved(0, 0, 0),
    }
    found = Precision(0.9, heads, ())
    assert found.overall == Achieved(900, 500, 480)
    assert found.withholding == Achieved(500, 100, 90)
    assert found.unreachable == ("none",)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    exact = stats.binomtest(90, 100).proportion_ci(0.95, "exact")
    assert (values["withholding"]["low"], values["withholding"]["high"]) == pytest.approx(
        tuple(exact)
    )
    assert values["heads"]["none"]["precision"] is None
    assert values["heads"]["empty"]["coverage"] is None


def test_without_heads_nothing_is_achieved():
    assert Precision(0.9, {}, ()).overall == Achieved(0, 0, 0)
    assert Achieved(0, 0, 0).coverage is None


def test_coverage_is_monotone_in_confidence(drawn):
    held_out = drawn(300)
    answers = plain_answers(held_out.taxonomy, held_out.probabilities, held_out.categories)
    shares = []
    for least in (0.0, 0.5, 0.9):
        is_unknown = answers.probabilities.max(axis=2) < least
        found = achieved_precision(
            read_cells(held_out), answers._replace(is_unknown=is_unknown), 0.9
        )
        shares.append(found.overall.coverage)
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert np.isfinite(shares).all()
