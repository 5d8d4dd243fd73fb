import pytest
import torch
from scipy.optimize import nnls

from visual_taxonomy.task_weighting.methods.up_grad import (
    UnconflictingProjection,
    unconflicting_weights,
)

NAMES = ["c/a", "c/b", "c/d"]


def test_directions_are_those_of_the_reference(update, two_rows, three_rows):
    method = UnconflictingProjection(NAMES)
    assert update(method, two_rows).tolist() == pytest.approx([0.4, 0.7])
    expected = [0.26663, 0.45371, 0.73077]  # TorchJD 0.18, which regularizes by 1e-4
    assert update(method, three_rows).tolist() == pytest.approx(expected, abs=2e-4)


def test_no_task_gets_worse(gramian_of):
    gramian = gramian_of(torch.randn(8, 5).tolist())
    gains = gramian @ unconflicting_weights(gramian)
    assert gains.min().item() > -1e-9


def test_without_conflict_it_is_the_mean(gramian_of):
    weights = unconflicting_weights(gramian_of([[1.0, 0.0], [0.5, 1.0]]))
    assert weights.tolist() == [0.5, 0.5]


def test_each_projection_is_the_one_found_by_scipy():
    jacobian = torch.randn(5, 9, dtype=torch.float64)
    expected = torch.zeros(9, dtype=torch.float64)
    for row in jacobian:  # the projection on the dual cone, as the residual of -row on the cone
        coefficients, _ = nnls(jacobian.T.numpy(), -row.numpy())
        expected += (row + torch.from_numpy(coefficients) @ jacobian) / 5
    weights = unconflicting_weights(jacobian @ jacobian.T)
    torch.testing.assert_close(weights @ jacobian, expected)
