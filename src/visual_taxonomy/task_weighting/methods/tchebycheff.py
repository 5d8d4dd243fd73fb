"""A smooth maximum of the losses relative to their level in one early epoch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.task_weighting.base import LossWeighting

# The log of a loss of 0 is -inf, and so would be the nadir for the rest of the run.
_SMALLEST = 1e-8


class SmoothTchebycheff(LossWeighting):
    """The smooth maximum of the log ratios of the losses to their nadir.

        up to epoch `warmup_epochs`:   objective = sum of log(loss)
        later:   u = log(loss / nadir),   objective = A * smoothness * logsumexp(u / smoothness)

    Epochs count from 0. The nadir is a task's mean loss over the labelled images of epoch
    `warmup_epochs`; a task not seen in that epoch takes its first loss after it. A run of at most
    `warmup_epochs + 1` epochs never leaves the first phase.

    Args:
        task_names: [T] names of all tasks.
        smoothness: The lower, the more the worst task alone counts; > 0 (the paper's mu).
        warmup_epochs: Index of the epoch whose mean is the nadir; >= 0.

    Raises:
        InputError: An argument is out of its range.

    References:
        Lin et al., ICML 2024, https://arxiv.org/abs/2402.19078.

    Example:
        >>> method = SmoothTchebycheff(["c/a", "c/b"], warmup_epochs=0)
        >>> method.track(torch.tensor([1.2, 1.3]), torch.ones(2), [0, 1])
        >>> method.end_epoch()
        >>> method(torch.tensor([1.2, 1.3]), [0, 1])  # 2 log 2
        tensor(1.3863)
    """

    nadir: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(
        self, task_names: Sequence[str], smoothness: float = 1.0, warmup_epochs: int = 4
    ) -> None:
        super().__init__(task_names)
        if smoothness <= 0 or warmup_epochs < 0:
            raise InputError(
                f"STCH: smoothness must be positive and warmup_epochs not negative, "
                f"not {smoothness} and {warmup_epochs}"
            )
        self.smoothness = smoothness
        self.warmup_epochs = warmup_epochs
        for name in ("nadir", "sums", "counts"):
            self.register_buffer(name, torch.zeros(len(self.task_names)))

    @override
    def forward(
        self, losses: Tensor, tasks: Sequence[int], generator: torch.Generator | None = None
    ) -> Tensor:
        logs = losses.clamp_min(_SMALLEST).log()
        if self.record.epoch <= self.warmup_epochs:
            return logs.sum()
        nadir = self._known_nadir(losses.detach(), tasks)
        scaled = (logs - nadir.log()) / self.smoothness
        return len(tasks) * self.smoothness * scaled.logsumexp(0)

    def _known_nadir(self, losses: Tensor, tasks: Sequence[int]) -> Tensor:
        nadir = self.nadir[tasks]
        return torch.where(nadir > 0, nadir, losses.clamp_min(_SMALLEST)).to(losses)

    @override
    def track(self, losses: Tensor, num_labels: Tensor, tasks: Sequence[int]) -> None:
        if self.record.epoch == self.warmup_epochs:
            self.sums[tasks] += losses * num_labels
            self.counts[tasks] += num_labels
        elif self.record.epoch > self.warmup_epochs:
            self.nadir[tasks] = self._known_nadir(losses, tasks).to(self.nadir)

    @override
    def end_epoch(self) -> None:
        if self.record.epoch == self.warmup_epochs:
            # Of a task without a label so far 0 / 0, which the next line does not take.
            mean = (self.sums / self.counts.clamp_min(1e-30)).clamp_min(_SMALLEST)
            self.nadir = torch.where(self.counts > 0, mean, self.nadir)
        super().end_epoch()
