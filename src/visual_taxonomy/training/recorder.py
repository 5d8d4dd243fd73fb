"""What a run measures on its way: losses, scores of each epoch, records, what the tasks do."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from visual_taxonomy.task_weighting import Update
from visual_taxonomy.training.diagnostics import TaskDiagnostics
from visual_taxonomy.training.history import EpochLosses, write_metrics
from visual_taxonomy.training.records import Records
from visual_taxonomy.training.trackers import named_scores
from visual_taxonomy.training.unreadable import Unreadable
from visual_taxonomy.training.validation import Validation


class Log(Protocol):
    """Where values go beside the files: trackers."""

    def __call__(self, values: Mapping[str, float], step: int, /) -> None:
        """Log the values of a step."""


class EpochEnd(NamedTuple):
    """What an epoch has reached, as callbacks are told."""

    epoch: int
    """From 0."""
    row: Mapping[str, float]
    """The epoch's row of metrics.csv."""
    validation: Validation | None
    """None in a run without validation rows (`final`)."""
    earned: tuple[str, ...]
    """Kinds of checkpoint that the epoch has earned: both, score, loss."""


class Recorder:
    """Collects during an epoch, sums up at its end, writes the tables of the run folder.

    Args:
        diagnostics: Weights and gradients of the tasks.
        log: The trackers.
    """

    def __init__(self, diagnostics: TaskDiagnostics, log: Log) -> None:
        self.diagnostics = diagnostics
        self.log = log
        self.losses = EpochLosses()
        """Training losses of the running epoch."""
        self.history: list[dict[str, float]] = []
        """A row of metrics.csv for each epoch that has ended."""
        self.records = Records()
        self.unreadable = Unreadable()
        """Images that could not be read; unreadable.csv holds them, so no state does."""

    def add_losses(
        self, step: int, losses: Mapping[str, Tensor], counts: Sequence[int], norm: Tensor
    ) -> None:
        """Keep a step's losses by task, the labels behind each, and the norm of the gradient."""
        self.losses.add(step, losses, counts, norm)

    def add_update(
        self, step: int, step_of_epoch: int, update: Update, scale: Callable[[], float]
    ) -> None:
        """Keep weights and gradients of a step.

        Args:
            step: Its number in the run.
            step_of_epoch: Its number in the epoch.
            update: What the step did.
            scale: Says what the losses were multiplied by; asked for only where it is needed.
        """
        # Weights of an earlier step are passed over: the next new ones are watched instead.
        if self.diagnostics.is_due(step_of_epoch) and not update.is_reused:
            weights, gramian, _ = update
            self.diagnostics.add(step, step_of_epoch, weights, gramian, scale())
        self.diagnostics.add_unseen(update.weights)

    def fetch(self, learning_rate: float) -> None:
        """Move what was kept on the device into the sums, and what was watched to the trackers.

        Raises:
            InputError: A loss or gradient is not finite; the learning rate stands in the message.
        """
        self.losses.fetch(learning_rate)
        for watched in self.diagnostics.fetch():
            self.log(watched.values, watched.step)

    def end_epoch(
        self, row: dict[str, float], validation: Validation | None, num_skipped: Mapping[str, int]
    ) -> EpochEnd:
        """Close the epoch: what the validation found, and which checkpoints it has earned.

        Args:
            row: What else was measured, by column of metrics.csv: epoch, step, rate and times.
            validation: Scores of the epoch; None without validation rows.
            num_skipped: Task name -> steps of the run that left it out.
        """
        row = row | {"train_loss": self.losses.mean()}
        scores: dict[str, float] = {}
        earned: tuple[str, ...] = ()
        if validation is not None:
            report, row["val_loss"] = validation.report, validation.loss
            row |= {"hm": report.hm, "micro": report.micro, "macro": report.macro}
            scores = named_scores(report)
            self.records, earned = self.records.update(report.hm, validation.loss)
        share = self.diagnostics.conflict_share()
        if share is not None:
            row["conflict_share"] = share
        epoch = int(row["epoch"])
        self.diagnostics.end_epoch(epoch, num_skipped)
        self.history.append(row)
        # The step is the x axis of trackers, not a value beside the others.
        values = {name: value for name, value in row.items() if name != "step"}
        self.log(values | scores, int(row["step"]))
        self.losses = EpochLosses()
        return EpochEnd(epoch, row, validation, earned)

    def write(self, folder: Path) -> None:
        """Write metrics.csv and task_diagnostics.csv."""
        write_metrics(folder, self.history)
        self.diagnostics.write(folder)

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors; fetch first."""
        return {
            "history": self.history,
            "records": self.records.to_dict(),
            # Of the running epoch: resumed within it, a run reports the mean over all of its steps.
            "loss_sums": self.losses.sums,
            "loss_entries": self.losses.entries,
            "diagnostics": self.diagnostics.to_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.history = list(state["history"])
        self.records = Records(**state["records"])
        self.losses = EpochLosses(dict(state["loss_sums"]), dict(state["loss_entries"]))
        self.diagnostics.load(state["diagnostics"])
