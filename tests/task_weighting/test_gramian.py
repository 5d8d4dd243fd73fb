from collections.abc import Iterator

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


PRODUCTS = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)


@pytest.fixture
def during(monkeypatch) -> Iterator[list[list[str]]]:
    """The precisions of matrix products while inner products are taken; all is put back after."""
    before, seen, wide = [kind.fp32_precision for kind in PRODUCTS], [], gramian._wide

    def watch(rows: torch.Tensor) -> torch.Tensor:
        seen.append([kind.fp32_precision for kind in PRODUCTS])
        return wide(rows)

    monkeypatch.setattr(gramian, "_wide", watch)
    yield seen
    torch.set_float32_matmul_precision("highest")
    for kind, precision in zip(PRODUCTS, before, strict=True):
        kind.fp32_precision = precision


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_what_the_user_set_by_the_old_interface_is_off_meanwhile_and_restored(during, precision):
    torch.set_float32_matmul_precision(precision)
    gramian_of_rows(torch.ones(2, 3))
    assert during == [["ieee", "ieee"]]
    assert torch.get_float32_matmul_precision() == precision


def test_what_the_user_set_by_the_new_interface_is_off_meanwhile_and_restored(during):
    for kind in PRODUCTS:
        kind.fp32_precision = "tf32"
    gramian_of_rows(torch.ones(2, 3))
    assert during == [["ieee", "ieee"]]
    assert [kind.fp32_precision for kind in PRODUCTS] == ["tf32", "tf32"]


def test_without_a_setting_the_deprecated_interface_is_left_alone(during, monkeypatch):
    def warned(*_: object) -> None:
        raise AssertionError("torch warns of this call")

    monkeypatch.setattr(torch, "set_float32_matmul_precision", warned)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", warned)
    gramian_of_rows(torch.ones(2, 3))
    assert len(during) == 1
    monkeypatch.undo()


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
