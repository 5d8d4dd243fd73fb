"""The active tasks of one call of `multi_task_backward`, and how to treat them.

Shapes: A active tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from visual_taxonomy.task_weighting.backward.leaves import leaves
from visual_taxonomy.task_weighting.backward.options import BackwardOptions
from visual_taxonomy.task_weighting.base import TaskWeighting


@dataclass(frozen=True)
class Step:
    """The active tasks of one call and how to treat them."""

    names: tuple[str, ...]
    losses: tuple[Tensor, ...]
    num_labels: tuple[int, ...]
    tasks: list[int]  # a list: tensors are indexed with it
    method: TaskWeighting
    shared: tuple[Tensor, ...]
    features: Tensor | None
    generator: torch.Generator | None
    options: BackwardOptions
    reduce: Callable[[Tensor], Tensor] | None
    watch: bool
    """Whether the Gramian is asked for."""
    watched: Tensor | None
    """Features whose gradients `watch` asks for, where the method needs none."""

    def select(self, positions: Sequence[int]) -> "Step":
        """The step with some of its tasks only."""
        return replace(
            self,
            names=tuple(self.names[i] for i in positions),
            losses=tuple(self.losses[i] for i in positions),
            num_labels=tuple(self.num_labels[i] for i in positions),
            tasks=[self.tasks[i] for i in positions],
        )

    def finite(self, is_finite: Tensor) -> list[int]:
        """Positions of the tasks that can be used; counts the others."""
        flags: list[bool] = is_finite.tolist()
        return self.method.record.screen(self.names, flags, self.options.max_consecutive)

    def values(self) -> Tensor:
        """[A] the losses as numbers."""
        return torch.stack([loss.detach().float() for loss in self.losses])

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """The weights [A] by task name."""
        return dict(zip(self.names, weights.unbind(), strict=True))

    def head_factors(self, factors: Tensor, weights: Tensor) -> Tensor:
        """[A] factors on the gradients of the heads: of the transform alone, or the weights."""
        scale = self.options.head_scale or self.method.default_head_scale
        return weights if scale == "weights" else factors

    def is_plain(self) -> bool:
        """Whether shared parameters and heads have the same factors, and nothing is reduced."""
        scale = self.options.head_scale or self.method.default_head_scale
        is_limited = self.method.max_norm > 0 or self.options.normalize_direction is not None
        return scale == "weights" and not is_limited and self.reduce is None

    def target_divisor(self) -> int:
        """What the norm of the sum of the gradients is divided by when normalizing."""
        return len(self.names) if self.options.normalize_direction == "mean" else 1

    def num_shared(self) -> int:
        """P, values of the shared parameters."""
        return sum(parameter.numel() for parameter in self.shared)

    def new_rows(self, num_columns: int) -> Tensor:
        """[A, num_columns] zeros for gradients."""
        dtype = self.options.row_dtype
        return self.losses[0].new_zeros(len(self.names), num_columns, dtype=dtype)

    def feature_list(self) -> list[Tensor]:
        """The features, if the backbone trains."""
        return [] if self.features is None else [self.features]

    def layout(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Backbone, upper (shared, above the features), heads; the last two as far as in use."""
        used = {id(leaf): leaf for leaf in leaves(self.losses, stop=self.features)}
        upper = [parameter for parameter in self.shared if id(parameter) in used]
        below = [parameter for parameter in self.shared if id(parameter) not in used]
        shared = {id(parameter) for parameter in self.shared}
        heads = [leaf for key, leaf in used.items() if key not in shared]
        return below if self.features is not None else [], upper, heads
