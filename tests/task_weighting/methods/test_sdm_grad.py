import pytest
import torch
from scipy.optimize import minimize
from torchjd.aggregation import SDMGradWeighting

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.methods.sdm_grad import DirectionOriented

NAMES = ["c/a", "c/b", "c/d"]


def test_one_iteration_has_the_numbers_computed_by_hand(update):
    method = DirectionOriented(NAMES[:2], step_size=0.1, iterations=1, batches="one")
    # G = diag(1, 9), its scale (1 + 3)^2 / 4 = 4; slope (1, 9) (1/2 + 0.15) / 4 = (0.1625, 1.4625)
    assert update(method, [[1.0, 0.0], [0.0, 3.0]]).tolist() == pytest.approx([0.5, 1.5])
    assert method.weights.tolist() == pytest.approx([0.565, 0.435])
    assert update(method, [[1.0, 0.0], [0.0, 3.0]]).tolist() == pytest.approx(
        [(0.565 + 0.15) / 1.3, 3 * (0.435 + 0.15) / 1.3]
    )


@pytest.mark.parametrize("step_size", [0.5, 10.0])
def test_weights_of_one_batch_are_those_of_torchjd_one_step_later(step_size):
    ours = DirectionOriented(NAMES, step_size=step_size, batches="one")
    theirs = SDMGradWeighting(lr=step_size)
    expected = torch.full((3,), 1 / 3, dtype=torch.float64)
    for rows in torch.randn(8, 3, 9, dtype=torch.float64):
        step = ours(rows.clone(), torch.ones(3), [0, 1, 2])
        torch.testing.assert_close(step.weights, expected, atol=1e-5, rtol=1e-5)
        expected = theirs(rows @ rows.T)


def test_weights_of_two_batches_are_those_of_torchjd_where_the_diagonal_is_positive():
    ours, theirs = DirectionOriented(NAMES), SDMGradWeighting()
    mean = torch.randn(3, 9, dtype=torch.float64)
    before, expected = None, torch.full((3,), 1 / 3, dtype=torch.float64)
    for noise in torch.randn(8, 3, 9, dtype=torch.float64):
        rows = (mean + 0.1 * noise).float()
        step = ours(rows.clone(), torch.ones(3), [0, 1, 2])
        torch.testing.assert_close(step.weights, expected, atol=1e-4, rtol=1e-4)
        if before is not None:
            expected = theirs((before @ rows.T).double())
        before = rows


def test_small_steps_end_at_the_minimum_found_by_scipy(three_rows):
    rows, pull = torch.tensor(three_rows, dtype=torch.float64), 0.3
    method = DirectionOriented(NAMES, pull=pull, step_size=0.2, iterations=2000, batches="one")
    method(rows.clone(), torch.ones(3), [0, 1, 2])
    found = minimize(  # the paper's objective but for a constant
        lambda w: ((w @ rows.numpy() + pull * rows.mean(0).numpy()) ** 2).sum(),
        [1 / 3] * 3,
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    assert method.weights.tolist() == pytest.approx(found.x.tolist(), abs=1e-5)


def test_a_strong_pull_is_the_mean_gradient(update, three_rows):
    method = DirectionOriented(NAMES, pull=1e6)
    for _ in range(3):
        direction = update(method, three_rows)
    assert direction.tolist() == pytest.approx([0.7 / 3, 0.2, 2 / 3], abs=1e-5)


def test_scale_of_all_gradients_does_not_change_the_weights(three_rows):
    small, large = (DirectionOriented(NAMES, batches="one") for _ in range(2))
    small(torch.tensor(three_rows), torch.ones(3), [0, 1, 2])
    large(1e4 * torch.tensor(three_rows), torch.ones(3), [0, 1, 2])
    torch.testing.assert_close(large.weights, small.weights, atol=1e-4, rtol=1e-4)


def test_batches_that_disagree_about_every_task_give_finite_weights():
    method = DirectionOriented(NAMES)
    for sign in (1.0, -1.0, 1.0):
        method(sign * torch.eye(3), torch.ones(3), [0, 1, 2])
    assert torch.isfinite(method.weights).all()
    assert method.weights.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "arguments", [{"pull": -1.0}, {"step_size": 0.0}, {"momentum": 1.0}, {"iterations": 0}]
)
def test_values_out_of_range_are_refused(arguments):
    with pytest.raises(InputError, match=r"SDMGrad: pull must not be negative, step_size positive"):
        DirectionOriented(NAMES, **arguments)
