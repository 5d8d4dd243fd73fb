import pytest
import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.uncertainty import UncertaintyWeighting

NAMES = ["c/a", "c/b", "c/d"]


def differentiate(method, losses, tasks=(0, 1, 2)):
    values = torch.tensor(losses, requires_grad=True)
    objective = method(values, tasks)
    objective.backward()
    slopes = [None if s.grad is None else s.grad.item() for s in method.log_variances]
    return objective.item(), values.grad.tolist(), slopes


def test_regression_form_has_the_numbers_computed_by_hand(three_losses):
    objective, weights, slopes = differentiate(UncertaintyWeighting(NAMES), three_losses)
    assert objective == pytest.approx(1.393338, abs=2e-6)
    assert weights == pytest.approx([0.824361] * 3, abs=2e-6)
    assert slopes == pytest.approx([-0.159489, -0.736541, 0.252692], abs=2e-6)


def test_classification_form_has_the_numbers_computed_by_hand(three_losses):
    method = UncertaintyWeighting(NAMES, form="classification", initial_log_variance=0.0)
    objective, weights, slopes = differentiate(method, three_losses)
    assert objective == pytest.approx(2.6)
    assert weights == pytest.approx([1.0, 1.0, 1.0])
    assert slopes == pytest.approx([-0.3, -1.0, 0.2])


@pytest.mark.parametrize(
    ("form", "optimum"),
    [
        ("regression", [-0.223144, 0.405465, -1.203973]),
        ("classification", [0.470004, 1.098612, -0.510826]),
    ],
)
def test_slope_is_zero_and_weighted_losses_one_half_at_the_optimum(form, optimum, three_losses):
    method = UncertaintyWeighting(NAMES, form=form)
    for log_variance, value in zip(method.log_variances, optimum, strict=True):
        log_variance.data.fill_(value)
    _, weights, slopes = differentiate(method, three_losses)
    assert slopes == pytest.approx([0.0] * 3, abs=2e-6)
    weighted = [weight * loss for weight, loss in zip(weights, three_losses, strict=True)]
    assert weighted == pytest.approx([0.5] * 3, abs=2e-6)


def test_log_variance_of_an_absent_task_gets_no_gradient():
    _, _, slopes = differentiate(UncertaintyWeighting(NAMES), [0.8, 0.3], tasks=(0, 2))
    assert slopes[1] is None
    assert slopes[0] is not None


def test_log_variance_stops_at_ten():
    method = UncertaintyWeighting(NAMES, initial_log_variance=-11.0)
    _, weights, slopes = differentiate(method, [0.0, 0.0, 0.0])
    assert weights[0] == pytest.approx(torch.tensor(10.0).exp().item() / 2)
    assert slopes == [0.0, 0.0, 0.0]


def test_agrees_with_torchjd(three_losses):
    from torchjd.scalarization import UW

    losses = torch.tensor(three_losses)
    expected = UW(3)(losses)
    assert UncertaintyWeighting(NAMES, initial_log_variance=0.0)(losses, [0, 1, 2]) == expected


def test_unknown_form_is_refused():
    with pytest.raises(InputError, match="form is 'regression' or 'classification', not 'other'"):
        UncertaintyWeighting(NAMES, form="other")
