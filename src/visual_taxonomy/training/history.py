"""What a run has measured: the losses of its steps, a row an epoch."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from visual_taxonomy.atomic import write_text
from visual_taxonomy.errors import InputError

METRICS_NAME = "metrics.csv"
COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "val_loss",
    "hm",
    "micro",
    "macro",
    "lr",
    "images_per_second",
    "waiting_share",
    "seconds",
    "conflict_share",
)


@dataclass
class EpochLosses:
    """Sums of the task losses of an epoch, fetched from the device now and then.

    Steps are kept as they are until `fetch`: a GPU need not wait for its losses.

    Example:
        >>> losses = EpochLosses()
        >>> losses.add(0, {"c/a": torch.tensor(2.0)}, [3], torch.tensor(1.0))
        >>> losses.add(1, {"c/a": torch.tensor(4.0)}, [1], torch.tensor(1.0))
        >>> losses.fetch(learning_rate=0.1)
        >>> losses.mean()
        2.5
    """

    sums: dict[str, float] = field(default_factory=dict)
    """Task -> sum of its loss over labelled entries."""
    entries: dict[str, int] = field(default_factory=dict)
    """Task -> labelled entries."""
    must_be_finite: bool = True
    """Whether `fetch` refuses losses and gradients that are not finite; validation does not."""
    _steps: list[tuple[int, list[str], list[int], Tensor]] = field(default_factory=list)

    def add(
        self, step: int, losses: Mapping[str, Tensor], counts: Sequence[int], norm: Tensor
    ) -> None:
        """Keep a step's losses by task, the entries behind each, and the norm of the gradient."""
        # Stays on the device: reading it now would make a GPU wait at every step.
        values = torch.stack([loss.detach().float() for loss in losses.values()] + [norm.float()])
        self._steps.append((step, list(losses), list(counts), values))

    def fetch(self, learning_rate: float) -> None:
        """Move the kept steps into the sums.

        Raises:
            InputError: A loss or gradient is not finite, although it must be; the message names
                step and task.
        """
        if not self._steps:
            return
        # One transfer for all steps since the last.
        fetched = torch.cat([values for *_, values in self._steps]).tolist()
        position = 0
        for step, names, counts, _ in self._steps:
            for name, count in zip(names, counts, strict=True):
                value = fetched[position]
                if self.must_be_finite and not math.isfinite(value):
                    raise _not_finite(f"the loss of '{name}' is {value}", step, learning_rate)
                # Times the labels behind it, so that a batch with a single label does not count
                # like a full one.
                self.sums[name] = self.sums.get(name, 0.0) + value * count
                self.entries[name] = self.entries.get(name, 0) + count
                position += 1
            # After the losses: one of them names the task that went wrong, the norm names all.
            if self.must_be_finite and not math.isfinite(fetched[position]):
                what = f"the gradient of {', '.join(names)} is {fetched[position]}"
                raise _not_finite(what, step, learning_rate)
            position += 1
        self._steps.clear()

    def mean(self) -> float:
        """Mean over tasks of the mean over entries; NaN before the first fetch."""
        means = [self.sums[name] / self.entries[name] for name in self.sums]
        return sum(means) / len(means) if means else math.nan


def _not_finite(what: str, step: int, learning_rate: float) -> InputError:
    return InputError(
        f"step {step}: {what} at learning rate {learning_rate:.3g}; lower `scratch_lr` and "
        "`pretrained_lr` or use `precision=32`, and resume from the last save (`resume`)"
    )


def write_metrics(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write metrics.csv, a row an epoch; what a row does not have stays blank."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(folder / METRICS_NAME, text.getvalue())


def epoch_line(row: Mapping[str, float]) -> str:
    """An epoch's row of metrics.csv as people read it; without scores where there are none."""
    scores = ""
    if "hm" in row:
        scores = (
            f"val loss {row['val_loss']:.4f}, HM-F1 {row['hm']:.4f} "
            f"(micro {row['micro']:.4f}, macro {row['macro']:.4f}), "
        )
    return (
        f"epoch {row['epoch'] + 1:.0f}: train loss {row['train_loss']:.4f}, {scores}"
        f"{row['images_per_second']:.0f} images/s, waiting {row['waiting_share']:.0%}"
    )
