import pytest
import torch

from visual_taxonomy.task_weighting import gramian
from visual_taxonomy.task_weighting.gramian import (
    combine_rows,
    conflict_share,
    gramian_of_rows,
    nonzero_rows,
    unit_gramian,
)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_inner_products_and_sums_do_not_depend_on_the_block_size(dtype, monkeypatch):
    rows, weights = torch.randn(4, 100).to(dtype), torch.randn(4)
    wide = rows.double()
    monkeypatch.setattr(gramian, "_COLUMNS", 7)
    tolerance = {"atol": 1e-4, "rtol": 1e-5}
    torch.testing.assert_close(gramian_of_rows(rows), wide @ wide.T, **tolerance)
    torch.testing.assert_close(
        combine_rows(rows, weights).double(), weights.double() @ wide, **tolerance
    )


def test_precision_setting_of_the_user_is_restored():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        gramian_of_rows(torch.ones(2, 3))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_rows_far_shorter_than_the_longest_count_as_zero():
    assert nonzero_rows(torch.tensor([1.0, 1e-25, 1e-23], dtype=torch.float64)) == [0, 2]
    assert nonzero_rows(torch.zeros(2)) == []


def test_unit_gramian_holds_cosines():
    rows = torch.tensor([[3.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    cosines, norms = unit_gramian(rows @ rows.T)
    assert norms.tolist() == pytest.approx([3.0, 2**0.5])
    assert cosines[0].tolist() == pytest.approx([1.0, 0.5**0.5])


def test_one_task_has_no_conflict():
    assert conflict_share(torch.ones(1, 1)) == 0.0
