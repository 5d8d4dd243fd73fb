"""The trainer: the parts of a run, and the loop over epochs and steps that moves them.

    source     batches, from images or cached features       batch_source.py, feature_source.py
    model      features of the batch, then the heads           model.py
    objective  a loss for each task that has a label           objective.py
    updates    losses to gradients, by the weighting method    task_updates.py
    optimizer  clipping, AdamW, learning-rate schedule         optimizer.py
    parallel   what the processes of a run tell each other     parallel.py
    recorder   losses, scores, records, diagnostics, loggers   recorder.py
    average    the moving average of the weights, if asked     weight_average.py
    mixer      mixup and CutMix of a batch, if asked           mixing.py

A part that has a state has a `state_dict` of its own: last.pt is the states of all (`saving.py`).
`setup.py` builds a trainer from a config; `train.py` is the whole run.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from visual_taxonomy.config import TrainConfig
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.table import Table
from visual_taxonomy.progress import SILENT, Advance, Reporter
from visual_taxonomy.training.batch_source import BatchSource
from visual_taxonomy.training.distillation import SoftLabels
from visual_taxonomy.training.history import epoch_line
from visual_taxonomy.training.interruption import StopRequest, stop_request
from visual_taxonomy.training.labels import global_labels
from visual_taxonomy.training.mixing import Mixer, Mixing
from visual_taxonomy.training.model import TrainedModel
from visual_taxonomy.training.objective import Objective
from visual_taxonomy.training.optimizer import OptimizerStep
from visual_taxonomy.training.parallel import Parallel
from visual_taxonomy.training.preparation import Tables
from visual_taxonomy.training.recorder import EpochEnd, Recorder
from visual_taxonomy.training.saving import Part, Saver
from visual_taxonomy.training.task_updates import TaskUpdates
from visual_taxonomy.training.unreadable import TRAINING, VALIDATION
from visual_taxonomy.training.validation import Validation, validate
from visual_taxonomy.training.weight_average import WeightAverage

# Epochs that end sooner after the last save do without: it would take a part of their time.
_SECONDS_BETWEEN_SAVES = 10.0


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The run was asked to stop; last.pt says where."""


Callback = Callable[["Trainer", EpochEnd], None]
"""Called after each epoch, on every process, when its files are written and before last.pt is."""


@dataclass
class Trainer:
    """Trains a model: `fit` runs the epochs that are left.

    Args:
        config: The run, its precision resolved.
        tables: Its rows.
        source: Gives the batches.
        model: Gives features and logits.
        objective: Gives the losses.
        updates: Gives the gradients.
        optimizer: Moves the parameters.
        parallel: Speaks for the processes.
        recorder: Measures.
        saver: Writes checkpoints.
        callbacks: Called after each epoch, in order.
        reporter: Shows progress.
        average: Of the weights; it is validated and saved as best.
        mixer: Mixes the images of each training batch.
        teacher: What it says of the training rows.
    """

    config: TrainConfig
    tables: Tables
    source: BatchSource
    model: TrainedModel
    objective: Objective
    updates: TaskUpdates
    optimizer: OptimizerStep
    parallel: Parallel
    recorder: Recorder
    saver: Saver
    callbacks: Sequence[Callback] = ()
    reporter: Reporter = SILENT
    average: WeightAverage | None = None
    mixer: Mixer | None = None
    teacher: SoftLabels | None = None
    is_stopped: bool = field(default=False, init=False)
    """Whether a callback has ended the run; see `stop`."""

    @property
    def parts(self) -> dict[str, Part]:
        """Name in last.pt -> part; what holds no state is none."""
        average: dict[str, Part] = {} if self.average is None else {"average": self.average}
        heads = self.model.shared_heads
        # Behind "model", whose weights are the sums of these.
        shared: dict[str, Part] = {} if heads is None else {"shared_heads": heads}
        return {
            "source": self.source,
            "model": self.model,
            **shared,
            "objective": self.objective,
            "updates": self.updates,
            "optimizer": self.optimizer,
            "parallel": self.parallel,
            "recorder": self.recorder,
            **average,
        }

    def fit(self) -> None:
        """Train to the end, or until no epoch has improved for a while, and save on the way.

        Raises:
            InputError: A loss or gradient is not finite, or no image can be read.
            Interrupted: Ctrl-C or SIGTERM came; last.pt is written.
        """
        saved = time.perf_counter()
        total = self.config.optimizer.epochs * len(self.source)
        with stop_request() as stop, self.reporter.progress("", total) as advance:
            while not self.has_ended:
                self._run_epoch(stop, advance)
                # Asked of all processes: a signal reaches one of them first, and one that stops
                # alone leaves the others waiting in the next gather for ever.
                stopping = self.parallel.any(stop.came)
                is_due = time.perf_counter() - saved >= _SECONDS_BETWEEN_SAVES
                # The first process decides: clocks differ, and saving is a collective step.
                if self.parallel.broadcast(stopping or self.has_ended or is_due):
                    self.save()
                    saved = time.perf_counter()
                if stopping:
                    raise Interrupted

    @property
    def has_ended(self) -> bool:
        """Whether no epoch is left to run."""
        limits, idle = self.config.optimizer, self.recorder.records.idle_epochs
        return self.is_stopped or self.source.epoch >= limits.epochs or idle >= limits.patience

    def stop(self) -> None:
        """End the run after the running epoch, as if it were the last; for callbacks."""
        self.is_stopped = True

    def save(self) -> None:
        """Write last.pt."""
        self.saver.save_last(self.parts, self.source.epoch)

    def restore(self) -> bool:
        """Go to where last.pt was written; False if there is none.

        Raises:
            InputError: last.pt is damaged, of another taxonomy, or lacks what this version needs.
        """
        return self.saver.restore(self.parts)

    def _run_epoch(self, stop: StopRequest, advance: Advance) -> None:
        started = time.perf_counter()
        waiting = self._train_epoch(stop, advance)
        seconds = time.perf_counter() - started
        # Validation alone: the next step trains on with the weights of the last.
        with self._averaged():
            validation = None if self.config.data.final else self.validate()
        folder = self.config.run.folder
        # Before the epoch is recorded: if no image could be read, its scores mean nothing.
        self.recorder.unreadable.report(self.parallel, self.tables_by_part(), folder)
        self._end_epoch(validation, seconds, waiting)

    def _train_epoch(self, stop: StopRequest, advance: Advance) -> float:
        """Train on the batches that are left; returns the seconds it waited for them."""
        self.objective.start_epoch(self.source.epoch, self.parallel.device)
        skipped = self.updates.num_skipped
        waiting = 0.0
        self.model.is_probing = self.source.epoch < self.config.optimizer.probe_first
        self.model.train()
        asked = time.perf_counter()
        for batch in self.source.rest_of_epoch():
            # Only the time between asking for a batch and getting it: what the loaders cannot keep
            # up with.
            waiting += time.perf_counter() - asked
            self.recorder.unreadable.add(TRAINING, batch)
            self.train_step(batch)
            self.source.advance()
            self._after_step(stop, advance)
            asked = time.perf_counter()
        self.updates.warn_of_skipped(skipped)
        self.updates.end_epoch()
        return waiting

    def train_step(self, batch: Batch) -> None:
        """Move the parameters along the objective of one batch.

        Nothing here waits for a GPU, unless the method does or the step is one whose Gramian the
        recorder wants: the losses stay there until it fetches them.

        Args:
            batch: This process's share of the global batch, on the CPU.
        """
        step, step_of_epoch = self.source.step_of_run, self.source.step
        self.optimizer.start_step(step)
        labels = global_labels(batch, self.objective, self.parallel, self.teacher)
        entries, categories, _, host = labels
        # A batch without any label has no loss; its step still counts, so that resuming finds its
        # place.
        if not entries.tasks:
            return
        watch = self.recorder.diagnostics.wants_gradients(step_of_epoch)
        # Other kinds compute gradients per task anyway; these have to be asked for them.
        is_watched = watch and self.updates.method.kind == "losses"
        mixing = self._mixing(batch.images, host)
        images = batch.images if mixing is None else mixing.images(batch.images, self.parallel)
        features, output = self.model(images, categories, entries.tasks, is_watched)
        compute = self.objective if mixing is None else partial(mixing.losses, self.objective)
        losses = compute(output, entries)
        counts = dict(zip(losses, entries.num_rows, strict=True))
        update = self.updates(self.optimizer.scaled(losses), features, counts, watch)
        if update is None:
            return
        self.recorder.add_update(step, step_of_epoch, update, self.optimizer.loss_scale)
        norm = self.optimizer.step()
        if self.average is not None:
            self.average.update()
        # A task that was skipped would put its NaN into the mean of the epoch.
        used = {name: loss for name, loss in losses.items() if name in update.weights}
        self.recorder.add_losses(step, used, [counts[name] for name in used], norm)

    def _mixing(self, images: Tensor, categories: Tensor) -> Mixing | None:
        """How the images of this step are mixed; None without mixup and CutMix."""
        if self.mixer is None:
            return None
        height, width = images.shape[-2:]
        position = (self.source.epoch, self.source.step)
        return self.mixer.draw(categories.numpy(), (height, width), *position)

    def _after_step(self, stop: StopRequest, advance: Advance) -> None:
        """Read the losses, show them, save and stop: each when it is time."""
        run, source = self.config.run, self.source
        ended = source.is_epoch_over
        stopping = not ended and self._shall_stop(stop)
        saving = stopping or (not ended and source.step % run.save_every == 0)
        # Reading makes a GPU wait, so it is done now and then.
        read_every = run.log_every if self.parallel.device.type == "cuda" else 1
        # Before a save, too: a state holds sums, not the losses that still wait on the device.
        if ended or saving or source.step % read_every == 0:
            self.recorder.fetch(self.optimizer.scratch_lr)
            mean = self.recorder.losses.mean()
            advance(source.step_of_run, text=f"epoch {source.epoch + 1}, loss {mean:.3f}")
        if saving:
            self.recorder.unreadable.check(self.parallel, self.tables_by_part())
            self.save()
        if stopping:
            raise Interrupted

    def _shall_stop(self, stop: StopRequest) -> bool:
        """Whether to stop after this step; several processes agree, now and then."""
        # Agreeing costs a transfer, so several processes do it at the logging interval only.
        is_time = self.parallel.world_size == 1 or not self.source.step % self.config.run.log_every
        return is_time and self.parallel.any(stop.came)

    def _end_epoch(self, validation: Validation | None, seconds: float, waiting: float) -> None:
        """Note what the epoch reached, save what it earned, and move on to the next."""
        epoch = self.source.epoch
        row = {
            "epoch": epoch,
            "step": (epoch + 1) * len(self.source),
            "lr": self.optimizer.highest_lr,
            # Too high for an epoch that was resumed halfway: all rows, but the time of the rest.
            "images_per_second": len(self.tables.training) / seconds,
            "waiting_share": waiting / seconds,
            "seconds": seconds,
        }
        ended = self.recorder.end_epoch(row, validation, self.updates.num_skipped)
        if self.parallel.is_first:
            self.recorder.write(self.config.run.folder)
        if validation is not None:
            held_out = self.tables.held_out(validation.probabilities)
            with self._averaged():
                weights = self.model.state_dict()
                self.saver.save_best(weights, epoch, validation, ended.earned, held_out)
        self.reporter.note(epoch_line(ended.row))
        # Before the callbacks: one that saves must save the position behind the epoch.
        self.source.start_next_epoch()
        for callback in self.callbacks:
            callback(self, ended)
        if not self.has_ended:
            return
        # Before last.pt says so: a run killed in between repeats the epoch.
        if validation is not None:
            self.saver.save_held_out(held_out)
        else:
            with self._averaged():
                self.saver.save_final(self.model.state_dict(), epoch)

    def validate(self) -> Validation:
        """Score the model on the validation rows; the same on all processes."""
        batches = self.recorder.unreadable.watching(VALIDATION, self.source.validation)
        flips = self.config.model.tta == "flip"
        return validate(batches, self.tables.validation, self.model, self.objective, flips)

    def _averaged(self) -> AbstractContextManager[None]:
        """A block in which the model has the weights that are validated and saved as best."""
        return nullcontext() if self.average is None else self.average.applied()

    def tables_by_part(self) -> dict[str, Table]:
        """The rows by the names that messages have for them."""
        return {TRAINING: self.tables.training, VALIDATION: self.tables.validation}
