"""Weights from how fast the loss of each task has been falling."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import LossWeighting


class DynamicWeightAverage(LossWeighting):
    """The slower a task's loss fell from the last epoch but one to the last, the more weight.

        ratio = mean loss of epoch e - 1 / mean loss of epoch e - 2
        weights = A * softmax(ratio / temperature) over the A active tasks

    Weights are 1 in the first two epochs. Means are over labelled images, of the steps in which the
    task was active; a task without both means has ratio 1.

    Args:
        task_names: [T] names of all tasks.
        temperature: The higher, the more equal the weights; > 0.

    Raises:
        InputError: The temperature is not positive.

    References:
        Liu, Johns, Davison, CVPR 2019, https://arxiv.org/abs/1803.10704.

    Example:
        >>> method = DynamicWeightAverage(["c/a", "c/b"])
        >>> method.track(torch.tensor([2.0, 1.0]), torch.tensor([8.0, 8.0]), [0, 1])
        >>> method.end_epoch()
        >>> method(torch.tensor([2.0, 1.0]), [0, 1])
        tensor(3.)
    """

    means: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, task_names: Sequence[str], temperature: float = 2.0) -> None:
        super().__init__(task_names)
        if temperature <= 0:
            raise InputError(f"DWA: temperature must be positive, not {temperature}")
        self.temperature = temperature
        num_tasks = len(self.task_names)
        self.register_buffer("means", torch.zeros(2, num_tasks))  # of epochs e - 2 and e - 1
        self.register_buffer("sums", torch.zeros(num_tasks))
        self.register_buffer("counts", torch.zeros(num_tasks))

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        before, last = self.means[:, tasks]
        ratio = torch.where((before > 0) & (last > 0), last / before, 1.0)
        return losses @ (len(tasks) * (ratio / self.temperature).softmax(0)).to(losses)

    @override
    def track(self, losses: Tensor, num_labels: Tensor, tasks: Sequence[int]) -> None:
        self.sums[tasks] += losses * num_labels
        self.counts[tasks] += num_labels

    @override
    def end_epoch(self) -> None:
        super().end_epoch()
        # Of a task without a label in the epoch 0 / 0: the floor makes it 0, "not known".
        self.means = torch.stack([self.means[1], self.sums / self.counts.clamp_min(1e-30)])
        self.sums.zero_()
        self.counts.zero_()
