"""Inner products of the tasks' gradients, and what they tell.

Shapes: A active tasks, P values of the shared parameters.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# Products summed in float32 at a time. The rounding error grows with their number, and a model has
# 1e8; also, rows in bfloat16 widened as a whole would take twice the memory they were to save.
_COLUMNS = 1 << 20
# Of squared norms: rows 1e-12 times the longest. Below, a direction is rounding, and as a unit
# vector it would count as much as a real one; a row of zeros makes NaN.
_ZERO_ROW = 1e-24


def gramian_of_rows(rows: Tensor) -> Tensor:
    """[A, A] inner products of the rows [A, P] in float64; sums of 2**20 products in float32.

    Blocks of columns keep the rounding error of float32 small and the temporary memory bounded;
    TF32 is off meanwhile, since solvers need more than its three digits.

    Example:
        >>> gramian_of_rows(torch.tensor([[1.0, 0.0], [-0.5, 1.0]]))
        tensor([[ 1.0000, -0.5000],
                [-0.5000,  1.2500]], dtype=torch.float64)
    """
    return inner_products(rows, rows)


def inner_products(first: Tensor, second: Tensor, chosen: Sequence[int] | None = None) -> Tensor:
    """[A, B] inner products of the rows [A, P] and [B, P], as `gramian_of_rows` takes them.

    Args:
        first: [A, P] rows; or more, of which A are chosen.
        second: [B, P] rows.
        chosen: [A] indices among the rows of `first`; None for all.

    Example:
        >>> inner_products(torch.eye(2), torch.tensor([[3.0, 4.0]]), [1])
        tensor([[4.]], dtype=torch.float64)
    """
    num_rows = len(first) if chosen is None else len(chosen)
    total = torch.zeros(num_rows, len(second), dtype=torch.float64, device=second.device)
    blocks = zip(first.split(_COLUMNS, dim=1), second.split(_COLUMNS, dim=1), strict=True)
    with _full_float32():
        for block, other in blocks:
            wide = _wide(block if chosen is None else block[chosen])
            total += wide @ (wide if first is second else _wide(other)).T
    return total


@contextmanager
def _full_float32() -> Iterator[None]:
    """Matrix products without TF32 or bfloat16, whatever the program has asked for."""
    products: list[Any] = [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in products]
    if all(precision in ("none", "ieee") for precision in before):
        yield  # nothing to turn off, as in every run of vtax
        return
    legacy = _legacy_precision()
    try:
        # CUDA raises where the two interfaces of torch disagree, so the one that is in use is used.
        if legacy is not None:
            torch.set_float32_matmul_precision("highest")
        else:
            for kind in products:
                kind.fp32_precision = "ieee"
        yield
    finally:
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
        else:
            for kind, precision in zip(products, before, strict=True):
                kind.fp32_precision = precision


def _legacy_precision() -> str | None:
    """What `torch.set_float32_matmul_precision` was given; None where it was not used."""
    try:
        precision = torch.get_float32_matmul_precision()
    except RuntimeError:  # set by the new interface alone
        return None
    return None if precision == "highest" else precision


def _wide(rows: Tensor) -> Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()


def combine_rows(rows: Tensor, weights: Tensor) -> Tensor:
    """[P] sum of weight x row, in float32 at least; never in TF32.

    Example:
        >>> combine_rows(torch.tensor([[1.0, 0.0], [-0.5, 1.0]]), torch.tensor([1.0, 2.0]))
        tensor([0., 2.])
    """
    dtype = torch.promote_types(rows.dtype, torch.float32)
    weights = weights.to(dtype)
    if rows.dtype == dtype:
        return torch.mv(rows.T, weights)
    return torch.cat(
        [torch.mv(block.to(dtype).T, weights) for block in rows.split(_COLUMNS, dim=1)]
    )


def nonzero_rows(squared_norms: Tensor) -> list[int]:
    """Indices of the gradients, given by their squared norms [A], that are not zero.

    Zero is what is at most 1e-12 times as long as the longest.

    Example:
        >>> nonzero_rows(torch.tensor([1.0, 0.0, 1e-3]))
        [0, 2]
    """
    # Greater, not at least: where all are zero, none is left.
    return torch.nonzero(squared_norms > _ZERO_ROW * squared_norms.max()).flatten().tolist()


def unit_gramian(gramian: Tensor) -> tuple[Tensor, Tensor]:
    """[A, A] cosines of the gradients and [A] their norms; all norms > 0."""
    norms = gramian.diagonal().sqrt()
    return gramian / (norms[:, None] * norms), norms


def conflict_share(gramian: Tensor) -> float:
    """Share of the pairs of tasks whose gradients point apart; 0.0 for a single task.

    Example:
        >>> conflict_share(torch.tensor([[1.0, -0.5, 0.2], [-0.5, 1.25, 0.5], [0.2, 0.5, 4.2]]))
        0.333...
    """
    num_tasks = len(gramian)
    if num_tasks < 2:
        return 0.0
    return (gramian.triu(1) < 0).sum().item() / (num_tasks * (num_tasks - 1) / 2)
