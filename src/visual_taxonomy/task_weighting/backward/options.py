"""How the gradients of the tasks are taken, whatever the method."""

from dataclasses import dataclass
from typing import Literal

import torch

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import (
    FeatureCombination,
    GramianWeighting,
    HeadScale,
    LossWeighting,
    Source,
    TaskWeighting,
)


@dataclass(frozen=True)
class BackwardOptions:
    """Settings of `multi_task_backward`.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> BackwardOptions(source="features", update_weights_every=5).source
        'features'
    """

    source: Source | None = None
    """What the weights are found from: "parameters", the gradients of all shared parameters
    (exact, T passes through the backbone); "features", the gradients of the features of every image
    (an upper bound, one pass); "last_layer", those of the last shared weight matrix (one pass).
    None for the method's own."""
    update_weights_every: int = 1
    """Steps for which weights from a Gramian are used; between, a step costs one pass."""
    head_scale: HeadScale | None = None
    """Factor on the heads' own gradients: "unit" or "weights"; None for the method's own."""
    normalize_direction: Literal["sum", "mean"] | None = None
    """Rescale the shared update to the norm of the sum, or the mean, of the gradients."""
    row_budget_bytes: int | None = None
    """Most memory for the T x P gradients; beyond, the Gramian is summed over blocks of parameters
    and one more pass applies the weights. None for no limit."""
    row_dtype: torch.dtype = torch.float32
    """Type in which the gradients of the tasks are kept: float32, bfloat16 or float64."""
    max_consecutive: int = 10
    """Steps in a row in which a task may be not finite before the run stops."""
    screen: bool = True
    """Whether methods of losses alone leave out tasks that are not finite; False for a caller
    that watches the losses itself, and then nothing in the step waits for the device."""

    def __post_init__(self) -> None:
        if self.source not in (None, "parameters", "features", "last_layer"):
            raise InputError(f"source '{self.source}' is none of: parameters, features, last_layer")
        if self.head_scale not in (None, "unit", "weights"):
            raise InputError(f"head_scale '{self.head_scale}' is none of: unit, weights")
        if self.normalize_direction not in (None, "sum", "mean"):
            raise InputError(
                f"normalize_direction '{self.normalize_direction}' is none of: sum, mean"
            )
        for name in ("update_weights_every", "max_consecutive"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.row_budget_bytes is not None and self.row_budget_bytes < 0:
            raise InputError(f"row_budget_bytes must not be negative, not {self.row_budget_bytes}")
        if self.row_dtype not in (torch.float32, torch.bfloat16, torch.float64):
            raise InputError(f"row_dtype is float32, bfloat16 or float64, not {self.row_dtype}")

    def check(self, method: TaskWeighting) -> None:
        """Refuse settings that have no effect with a method.

        Raises:
            InputError: Such a setting is there.
        """
        name = type(method).__name__
        is_gramian = isinstance(method, GramianWeighting)
        if self.update_weights_every > 1 and not is_gramian:
            raise InputError(
                f"update_weights_every: {name} has no weights to reuse between steps; set it to 1"
            )
        if self.source not in (None, method.default_source) and not is_gramian:
            raise InputError(f"source: {name} works on '{method.default_source}' only")
        if self.normalize_direction and isinstance(method, LossWeighting | FeatureCombination):
            raise InputError(f"normalize_direction: {name} takes no gradient per task")
        if self.head_scale == "weights" and isinstance(method, FeatureCombination):
            raise InputError(f"head_scale: {name} has no task weights; leave it out")
