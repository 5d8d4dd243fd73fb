"""The exponential moving average of the weights, which is what is validated and saved as best."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Follows the weights of a model, a share of the way at every step.

        average = d * average + (1 - d) * weights,  d = min(decay, (1 + n) / (10 + n))

    with n the steps averaged so far: the first ones count fully, or the random weights of the heads
    would stay in the average of a short run. Trained weights are averaged, and so are the running
    statistics of every BatchNorm, those of the categories too: they belong to the averaged weights.
    Counters are copied. What does not train is not held twice.

    Args:
        model: Whose weights are followed; `applied` changes them in place.
        decay: d, in [0, 1).

    References:
        Polyak and Juditsky, SIAM J. Control Optim. 1992; the warm-up is that of
        tf.train.ExponentialMovingAverage.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = WeightAverage(model, decay=0.999)
        >>> for weight in (0.0, 1.0):
        ...     _ = model.weight.data.fill_(weight)
        ...     average.update()
        >>> average.state_dict()["weights"]["weight"]  # d = 2 / 11
        tensor([[0.8182]])
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.num_steps = 0
        # Clones of what is there, so that a state of this shape exists before the first step.
        self._average = {name: value.clone() for name, value in self._followed().items()}

    def update(self) -> None:
        """Say that the weights have made a step."""
        warmed = (1 + self.num_steps) / (10 + self.num_steps)
        move = get_ema_multi_avg_fn(min(self.decay, warmed) if self.num_steps else 0.0)
        weights = self._followed()
        floats = [name for name, value in weights.items() if value.is_floating_point()]
        move([self._average[name] for name in floats], [weights[name] for name in floats], None)
        # torch would average counters too, and cut off what is behind the point.
        _copy(weights, {name: self._average[name] for name in weights.keys() - {*floats}})
        self.num_steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which the model has the averaged weights."""
        if not self.num_steps:
            yield
            return
        weights = self._followed()
        kept = {name: value.clone() for name, value in weights.items()}
        # In place, so that the optimizer and DistributedDataParallel keep the tensors they know.
        _copy(self._average, weights)
        try:
            yield
        finally:
            _copy(kept, weights)

    def state_dict(self) -> dict[str, Any]:
        """The average and its number of steps."""
        return {"weights": self._average, "num_steps": self.num_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        # Into the tensors that are there: a checkpoint is read onto the CPU, these may be on a GPU.
        _copy(state["weights"], self._average)
        self.num_steps = state["num_steps"]

    def _followed(self) -> dict[str, Tensor]:
        """Name -> what of the model changes in training, the tensors themselves."""
        frozen = {name for name, p in self.model.named_parameters() if not p.requires_grad}
        return {name: v for name, v in self.model.state_dict().items() if name not in frozen}


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])
