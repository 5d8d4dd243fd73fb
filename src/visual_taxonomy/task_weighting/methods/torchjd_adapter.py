"""Any stateless aggregator of the TorchJD library, by its name there."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import torch
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.choice import build
from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import (
    Combination,
    GramianWeighting,
    JacobianCombination,
    TaskWeighting,
)


class TorchJDWeighting(GramianWeighting):
    """Weights from a Gramian by one of TorchJD's weightings.

    Args:
        task_names: [T] names of all tasks.
        weighting: The TorchJD module, Gramian [A, A] in, weights [A] out.
    """

    def __init__(self, task_names: Sequence[str], weighting: nn.Module) -> None:
        super().__init__(task_names)
        self.weighting = weighting

    @override
    def forward(
        self,
        gramian: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return self.weighting(gramian)


class TorchJDAggregation(JacobianCombination):
    """A direction from the gradients by one of TorchJD's aggregators that has no weights.

    The weights reported are all 1.

    Args:
        task_names: [T] names of all tasks.
        aggregator: The TorchJD module, gradients [A, P] in, direction [P] out.
    """

    def __init__(self, task_names: Sequence[str], aggregator: nn.Module) -> None:
        super().__init__(task_names, "float32")
        self.aggregator = aggregator

    @override
    def forward(
        self,
        rows: Tensor,
        losses: Tensor,
        tasks: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Combination:
        return Combination(self.aggregator(rows), torch.ones_like(losses))


def build_torchjd(name: str, task_names: Sequence[str], **parameters: object) -> TaskWeighting:
    """The method that wraps the TorchJD aggregator of that name.

    Args:
        name: Name in `torchjd.aggregation`, whatever the case, such as "ConFIG".
        task_names: [T] names of all tasks of the run.
        **parameters: The aggregator's own parameters.

    Raises:
        InputError: TorchJD is not installed, has no such aggregator or parameter, or the
            aggregator keeps state, which it would lose whenever a task is missing.

    Example:
        >>> build_torchjd("imtlg", ["c/a", "c/b"]).kind
        'gramian'
    """
    aggregation = _aggregation()
    public: Mapping[str, Callable[..., nn.Module]] = {
        key: vars(aggregation)[key]
        for key in aggregation.__all__
        if issubclass(vars(aggregation)[key], aggregation.Aggregator)
        and not key.endswith("Aggregator")
    }
    try:
        aggregator = build(public, name, **parameters)
    except (TypeError, AttributeError) as error:  # a number where TorchJD wants a tensor or matrix
        raise InputError(f"torchjd:{name} with {parameters}: {error}") from error
    except InputError as error:
        raise InputError(f"torchjd:{error}") from None
    if hasattr(aggregator, "reset"):
        raise InputError(
            f"torchjd:{name} forgets its state when a task is missing from a batch; use the "
            "method of this package, or a stateless aggregator"
        )
    weighting = getattr(aggregator, "gramian_weighting", None)
    if isinstance(weighting, nn.Module):
        return TorchJDWeighting(task_names, weighting)
    return TorchJDAggregation(task_names, aggregator)


def _aggregation() -> ModuleType:
    try:
        from torchjd import aggregation
    except ImportError:
        raise InputError(
            "torchjd: methods need the TorchJD library; pip install 'visual-taxonomy[torchjd]'"
        ) from None
    return aggregation
