"""What the tasks do to each other: their weights, the lengths and angles of their gradients.

Shapes: T tasks of the run, A active tasks of a step.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from visual_taxonomy.atomic import write_text
from visual_taxonomy.task_weighting.gramian import conflict_share

DIAGNOSTICS_NAME = "task_diagnostics.csv"
COLUMNS = ("epoch", "task", "weight", "gradient_norm", "skipped")

Gramian = tuple[Sequence[str], Tensor]
"""Names [A] and inner products [A, A] of the gradients of the active tasks."""
Row = dict[str, str | float]


class Watched(NamedTuple):
    """What a logger is told of a step."""

    step: int
    values: dict[str, float]
    """Weights and gradient norms by task, and the share of pairs that point apart."""


class TaskDiagnostics:
    """Means over the steps that are watched: by task for the epoch, by pair of tasks for the run.

    Between watched steps nothing is computed. Weights are kept on their device until `fetch`.
    Values that are not finite are left out.

    Args:
        task_names: [T] names of all tasks of the run.
        every: Steps from one watched step to the next; the first of an epoch is one.
        gradients_every: The same for the gradients, which cost methods that do not need them a
            backward pass through the heads for each task.

    Example:
        >>> seen = TaskDiagnostics(["c/a", "c/b"], every=20, gradients_every=20)
        >>> weights = {"c/a": torch.tensor(1.0), "c/b": torch.tensor(3.0)}
        >>> gramian = torch.tensor([[4.0, -1.0], [-1.0, 1.0]])
        >>> seen.add(0, 0, weights, (list(weights), gramian))
        >>> seen.is_due(19), seen.is_due(20)
        (False, True)
        >>> seen.fetch()[0].values["conflict_share"]
        1.0
        >>> seen.rows(epoch=0, num_skipped={})[0]
        {'epoch': 0, 'task': 'c/a', 'weight': 1.0, 'gradient_norm': 2.0, 'skipped': 0}
        >>> seen.cosines()
        tensor([[ 1.0000, -0.5000],
                [-0.5000,  1.0000]], dtype=torch.float64)
    """

    def __init__(self, task_names: Sequence[str], every: int, gradients_every: int) -> None:
        self.task_names = tuple(task_names)
        self.every = every
        self.gradients_every = gradients_every
        self.history: list[Row] = []
        """The rows of task_diagnostics.csv of the epochs that have ended."""
        self._index = {name: index for index, name in enumerate(self.task_names)}
        num_tasks = len(self.task_names)
        self._cosines = _Mean(num_tasks, num_tasks)
        self._kept: list[tuple[int, list[str], Tensor, dict[str, float]]] = []
        self._unwatched: list[tuple[list[str], Tensor]] = []
        self._start_epoch()

    def _start_epoch(self) -> None:
        num_tasks = len(self.task_names)
        self._weights, self._norms = _Mean(num_tasks), _Mean(num_tasks)
        self._conflicts = _Mean(1)
        self._next_step = self._next_gradients = 0
        self._seen: set[str] = set()

    def is_due(self, step_of_epoch: int) -> bool:
        """Whether a step of the epoch, from 0, is to be watched."""
        return step_of_epoch >= self._next_step

    def wants_gradients(self, step_of_epoch: int) -> bool:
        """Whether the Gramian of that step is asked for as well."""
        return self.is_due(step_of_epoch) and step_of_epoch >= self._next_gradients

    def add(
        self,
        step: int,
        step_of_epoch: int,
        weights: Mapping[str, Tensor],
        gramian: Gramian | None,
        gradient_scale: float = 1.0,
    ) -> None:
        """Take note of a step.

        Args:
            step: Its number in the run, for the logger.
            step_of_epoch: Its number in the epoch.
            weights: Task name -> weight used.
            gramian: Of the gradients on the CPU, in float64; None where nobody computed it.
            gradient_scale: What the losses were multiplied by.
        """
        # From the step that was watched: it may be later than the one that was due.
        self._next_step = step_of_epoch + self.every
        values: dict[str, float] = {}
        if gramian is not None:
            self._next_gradients = step_of_epoch + self.gradients_every
            names, products = gramian
            norms = products.diagonal().sqrt()
            tasks = torch.tensor([self._index[name] for name in names])
            # The scale is in every product. It cancels out of cosines, but not out of norms.
            self._norms.add((tasks,), norms / gradient_scale)
            self._cosines.add((tasks[:, None], tasks), products / (norms[:, None] * norms))
            values = {
                f"gradient_norm/{name}": norm / gradient_scale
                for name, norm in zip(names, norms.tolist(), strict=True)
            }
            if len(names) > 1:
                values["conflict_share"] = conflict_share(products)
                share = torch.tensor([values["conflict_share"]], dtype=torch.float64)
                self._conflicts.add((torch.tensor([0]),), share)
        self._seen.update(weights)
        self._kept.append((step, list(weights), torch.stack(list(weights.values())), values))

    def add_unseen(self, weights: Mapping[str, Tensor]) -> None:
        """Take note of the weights of tasks that no watched step of the epoch has had.

        In short epochs most tasks have no label in the few steps that are watched.
        """
        # Rare tasks may miss every watched step; without this they would have no weight in the
        # table.
        new = [name for name in weights if name not in self._seen]
        if new:
            self._seen.update(new)
            self._unwatched.append((new, torch.stack([weights[name] for name in new])))

    def fetch(self) -> list[Watched]:
        """Move the kept weights into the means; returns what to log."""
        to_log = []
        for names, weights in self._unwatched:
            self._add_weights(names, weights.double().cpu())
        self._unwatched.clear()
        for step, names, weights, values in self._kept:
            # One transfer for each watched step, at the logging interval: not one for each task.
            on_cpu = weights.double().cpu()
            self._add_weights(names, on_cpu)
            by_name = zip(names, on_cpu.tolist(), strict=True)
            logged = {f"weight/{name}": weight for name, weight in by_name} | values
            to_log.append(Watched(step, {_loggable(key): logged[key] for key in logged}))
        self._kept.clear()
        return to_log

    def _add_weights(self, names: Sequence[str], weights: Tensor) -> None:
        self._weights.add((torch.tensor([self._index[name] for name in names]),), weights)

    def conflict_share(self) -> float | None:
        """Mean over the epoch's steps with several tasks of the share of pairs that point apart."""
        return _known(self._conflicts.value().tolist()[0])

    def cosines(self) -> Tensor:
        """[T, T] mean cosines of the gradients over the run; NaN for tasks that never met."""
        return self._cosines.value()

    def rows(self, epoch: int, num_skipped: Mapping[str, int]) -> list[Row]:
        """The epoch's rows of task_diagnostics.csv; what nobody saw is left out.

        Args:
            epoch: From 0.
            num_skipped: Task name -> steps of the run that left it out, being not finite.
        """
        weights, norms = self._weights.value().tolist(), self._norms.value().tolist()
        found: list[Row] = []
        for index, name in enumerate(self.task_names):
            values: dict[str, str | float | None] = {
                "epoch": epoch,
                "task": name,
                "weight": _known(weights[index]),
                "gradient_norm": _known(norms[index]),
                "skipped": num_skipped.get(name, 0),
            }
            found.append({key: value for key, value in values.items() if value is not None})
        return found

    def end_epoch(self, epoch: int, num_skipped: Mapping[str, int]) -> None:
        """Move the epoch's rows into the history; the pairs go on."""
        self.history += self.rows(epoch, num_skipped)
        self._start_epoch()

    def write(self, folder: Path) -> None:
        """Write task_diagnostics.csv: a row for each epoch and task."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        write_text(folder / DIAGNOSTICS_NAME, text.getvalue())

    def to_dict(self) -> dict[str, Any]:
        """Plain values and tensors for a checkpoint; fetch first."""
        means = {name: (mean.sums, mean.counts) for name, mean in self._means().items()}
        return {
            "means": means,
            # Steps of the running epoch: a resumed run watches those it would have watched.
            "next_step": self._next_step,
            "next_gradients": self._next_gradients,
            "history": self.history,
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_dict` gave."""
        for name, mean in self._means().items():
            sums, counts = saved["means"][name]
            # Cloned, because `add` writes in place, and the saved state belongs to the caller.
            mean.sums, mean.counts = sums.clone(), counts.clone()
        # Whoever has a weight in this epoch has been seen; it need not be saved twice.
        known = self._weights.counts.tolist()
        self._seen = {name for name, count in zip(self.task_names, known, strict=True) if count}
        self._next_step = saved["next_step"]
        self._next_gradients = saved["next_gradients"]
        self.history = list(saved["history"])

    def _means(self) -> dict[str, "_Mean"]:
        return {
            "weights": self._weights,
            "norms": self._norms,
            "conflicts": self._conflicts,
            "cosines": self._cosines,
        }


class _Mean:
    """Means over what was added, element by element, in float64."""

    def __init__(self, *shape: int) -> None:
        self.sums = torch.zeros(shape, dtype=torch.float64)
        self.counts = torch.zeros(shape, dtype=torch.float64)

    def add(self, index: tuple[Tensor, ...], values: Tensor) -> None:
        # A cosine with a gradient of length 0 is NaN; it would make the mean of the run NaN.
        finite = values.isfinite()
        # Not `+= values`: NaN times a mask of 0 is NaN still.
        # A task is named once a step: `+=` would take but one of the values at a doubled index.
        self.sums[index] += torch.where(finite, values, 0.0).double()
        self.counts[index] += finite

    def value(self) -> Tensor:
        # 0 / 0, NaN, where nothing was added: whatever shows the means leaves that out.
        return self.sums / self.counts


def _known(value: float) -> float | None:
    return None if value != value else value  # NaN alone differs from itself


def _loggable(name: str) -> str:
    """The name without what loggers refuse (MLflow: "&", brackets)."""
    # MLflow takes no other characters in the name of a metric.
    return re.sub(r"[^\w/. -]", "_", name)
