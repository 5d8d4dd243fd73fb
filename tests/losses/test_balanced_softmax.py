import numpy as np
import pytest
from torch.testing import assert_close

from visual_taxonomy.losses.balanced_softmax import BalancedSoftmax
from visual_taxonomy.losses.logit_adjustment import LogitAdjustment


def test_equals_the_formula_in_numpy(logits, target, counts):
    terms = counts.double().numpy() * np.exp(logits.double().numpy())
    expected = -np.log(terms[np.arange(4), target.numpy()] / terms.sum(1)).mean()
    assert BalancedSoftmax(counts)(logits, target).item() == pytest.approx(expected, abs=1e-5)


def test_is_logit_adjustment_of_tau_one(logits, target, counts):
    loss = BalancedSoftmax(counts)(logits, target)
    assert_close(loss, LogitAdjustment(counts, tau=1)(logits, target))
    assert loss.item() == pytest.approx(2.414347, abs=1e-5)
