"""Inner products of the tasks' gradients, and what they tell.

Shapes: A active tasks, P values of the shared parameters.
"""

import torch
from torch import Tensor

_COLUMNS = 1 << 20
_ZERO_ROW = 1e-24  # of squared norms: rows 1e-12 times the longest


def gramian_of_rows(rows: Tensor) -> Tensor:
    """[A, A] inner products of the rows [A, P] in float64; sums of 2**20 products in float32.

    Blocks of columns keep the rounding error of float32 small and the temporary memory bounded;
    TF32 is off meanwhile, since solvers need more than its three digits.

    Example:
        >>> gramian_of_rows(torch.tensor([[1.0, 0.0], [-0.5, 1.0]]))
        tensor([[ 1.0000, -0.5000],
                [-0.5000,  1.2500]], dtype=torch.float64)
    """
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        for block in rows.split(_COLUMNS, dim=1):
            wide = block if block.dtype == torch.float64 else block.float()
            total += wide @ wide.T
    finally:
        torch.set_float32_matmul_precision(precision)
    return total


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
