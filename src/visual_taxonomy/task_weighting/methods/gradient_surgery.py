"""Orders in which the gradients of tasks meet each other, for PCGrad and GradVac."""

import torch
from torch import Tensor


def random_orders(num_tasks: int, generator: torch.Generator | None = None) -> Tensor:
    """[A, A - 1] for each task all others, in random order.

    Example:
        >>> random_orders(3, torch.Generator().manual_seed(0)).sort(dim=1).values
        tensor([[1, 2],
                [0, 2],
                [0, 1]])
    """
    rows = [torch.randperm(num_tasks, generator=generator).tolist() for _ in range(num_tasks)]
    others = [[j for j in row if j != i] for i, row in enumerate(rows)]
    return torch.tensor(others, dtype=torch.long).view(num_tasks, num_tasks - 1)
