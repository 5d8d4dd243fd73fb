"""Independent component alignment."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import GramianWeighting

Scale = Literal["min", "median", "rmse"]


def aligned_weights(gramian: Tensor, preferences: Tensor, scale: Scale = "min") -> Tensor:
    """[A] weights with which the principal components of the gradients have equal length.

    Args:
        gramian: [A, A] inner products, float64.
        preferences: [A] weights of the tasks were their gradients orthonormal.
        scale: The common squared length: the smallest eigenvalue of the Gramian, the median, or
            the mean.

    Example:
        >>> gramian = torch.tensor([[1.0, -0.5], [-0.5, 1.25]], dtype=torch.float64)
        >>> aligned_weights(gramian, torch.ones(2))
        tensor([1.0415, 0.9468], dtype=torch.float64)
    """
    eigenvalues, vectors = torch.linalg.eigh(gramian)
    # The gradients have no more digits than float32: smaller eigenvalues are rounding, may be
    # negative, and as the common length would shrink the whole update to nothing.
    smallest = eigenvalues[-1] * len(gramian) * torch.finfo(torch.float32).eps
    kept = eigenvalues > smallest
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    common = {
        "min": eigenvalues[0],
        "median": eigenvalues.quantile(0.5),
        "rmse": eigenvalues.mean(),
    }[scale]
    components = vectors.T @ preferences.to(gramian)
    return vectors @ ((common / eigenvalues).sqrt() * components)


class AlignedMultiTask(GramianWeighting):
    """Gradients are made orthogonal and equally long along their principal components.

        G = V L V',   weights = sqrt(smallest of L) * V L^(-1/2) V' preferences

    Components below the precision of the gradients are left out. If the smallest is tiny, so is
    the step (scale "min"); "median" and "rmse" are the authors' alternatives.

    Args:
        task_names: [T] names of all tasks.
        scale: Common squared length of the components: "min", "median" or "rmse" of the
            eigenvalues.
        reduction: Preferences 1 ("sum", as the authors) or 1 / A ("mean", as TorchJD).

    Raises:
        InputError: An argument does not exist.

    References:
        Senushkin, Patakin, Kuznetsov, Konushin, CVPR 2023, https://arxiv.org/abs/2305.19000.

    Example:
        >>> gramian = torch.eye(2, dtype=torch.float64)
        >>> AlignedMultiTask(["c/a", "c/b"])(gramian, torch.ones(2), [0, 1])
        tensor([1., 1.], dtype=torch.float64)
    """

    def __init__(
        self,
        task_names: Sequence[str],
        scale: Scale = "min",
        reduction: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__(task_names)
        if scale not in ("min", "median", "rmse"):
            raise InputError(f"Aligned_MTL: scale '{scale}' is none of: min, median, rmse")
        if reduction not in ("sum", "mean"):
            raise InputError(f"Aligned_MTL: reduction '{reduction}' is none of: sum, mean")
        self.scale: Scale = scale
        self.reduction = reduction

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        preference = 1.0 if self.reduction == "sum" else 1 / len(gramian)
        return aligned_weights(gramian, torch.full((len(gramian),), preference), self.scale)
