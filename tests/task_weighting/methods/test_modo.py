import pytest
import torch
from torchjd.aggregation import MoDoWeighting

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.modo import DoubleSampling

NAMES = ["c/a", "c/b", "c/d"]


def test_two_steps_have_the_numbers_computed_by_hand(update, two_rows):
    method = DoubleSampling(NAMES[:2], gamma=0.2, rho=0.1, batches="one")
    # G (1/2, 1/2) = (0.25, 0.375); less 0.2 (0.25 + 0.05, 0.375 + 0.05) = (0.44, 0.415); + 0.0725
    assert update(method, two_rows).tolist() == pytest.approx([0.25, 0.5])
    assert method.weights.tolist() == pytest.approx([0.5125, 0.4875])
    assert update(method, two_rows).tolist() == pytest.approx([0.26875, 0.4875])


def test_weights_from_the_products_of_two_batches_are_computed_by_hand():
    method = DoubleSampling(NAMES[:2], gamma=0.1, rho=0.0)
    method(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.ones(2), [0, 1])
    method(torch.tensor([[2.0, 1.0], [0.0, -3.0]]), torch.ones(2), [0, 1])
    # J1 J2' = J2': rows (2, 0), (1, -3); times (1/2, 1/2) = (1, -1): (0.4, 0.6)
    assert method.weights.tolist() == pytest.approx([0.4, 0.6])


@pytest.mark.parametrize("batches", ["one", "two"])
def test_weights_are_those_of_torchjd_one_step_later(batches):
    ours = DoubleSampling(NAMES, gamma=0.05, rho=0.1, batches=batches)
    theirs = MoDoWeighting(gamma=0.05, rho=0.1)
    before, expected = None, torch.full((3,), 1 / 3, dtype=torch.float64)
    for rows in torch.randn(12, 3, 9):
        step = ours(rows.clone(), torch.ones(3), [0, 1, 2])
        torch.testing.assert_close(step.weights, expected, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(step.direction, expected.float() @ rows, atol=1e-5, rtol=1e-5)
        before = rows if batches == "one" else before
        if before is not None:
            expected = theirs(before.double() @ rows.double().T)
        before = rows


def test_weights_of_constant_gradients_tend_to_the_shortest_combination(update, two_rows):
    method = DoubleSampling(NAMES[:2], rho=0.0)
    for _ in range(200):
        direction = update(method, two_rows)
    assert direction.tolist() == pytest.approx([0.307692, 0.461538], abs=1e-5)


def test_noise_that_biases_one_batch_cancels_between_two():
    mean = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # equally long: half of the weight for each
    found = {}
    for batches in ("two", "one"):
        torch.manual_seed(0)
        method = DoubleSampling(NAMES[:2], gamma=0.005, rho=0.0, batches=batches)
        history = []
        for _ in range(1000):
            noise = torch.tensor([[2.0], [0.0]]) * torch.randn(2, 2)  # of the first task alone
            history.append(method(mean + noise, torch.ones(2), [0, 1]).weights[0].item())
        found[batches] = sum(history[500:]) / 500
    assert found["two"] == pytest.approx(0.5, abs=0.25)
    assert found["one"] < 0.2  # its gradients look sqrt(1 + 2 * 2^2) = 3 times as long


def test_values_out_of_range_are_refused():
    with pytest.raises(InputError, match="gamma and rho must not be negative, not -1 and 0"):
        DoubleSampling(NAMES, gamma=-1, rho=0)
