"""What a run leaves on the disk, and how it goes on from there."""

import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from visual_taxonomy.atomic import link_or_copy, write_text
from visual_taxonomy.catalogue import columns_of
from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.config import ModelConfig, TrainConfig
from visual_taxonomy.config_values import from_dict, to_dict
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.records import KINDS
from visual_taxonomy.training.run_folder import (
    CONFIG_NAME,
    FINAL_NAME,
    HELD_OUT_LAST_NAME,
    LAST_NAME,
    check_unchanged,
)
from visual_taxonomy.training.validation import Validation

METRICS_JSON = "detailed_metrics.json"


class Part(Protocol):
    """What a trainer is made of: it can say where it is, and go there."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values that the next step depends on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object:
        """Go on from what `state_dict` gave."""


Parts = Mapping[str, Part]
"""Name -> part of a trainer; "model" gives the weights."""


@dataclass(frozen=True)
class Saver:
    """Writes and reads the checkpoints of a run.

    Args:
        config: The run.
        taxonomy: What the heads predict.
        model: Its config with `head` resolved, as a checkpoint keeps it.
        class_counts: Task name -> training labels of each class.
        named_columns: Whether the label columns of the training rows are named by attributes.
        is_first: Whether this process writes files.
        on_saved: Called on the first process once a checkpoint is on the disk.
    """

    config: TrainConfig
    taxonomy: Taxonomy
    model: ModelConfig
    class_counts: Mapping[str, list[int]]
    named_columns: bool = False
    is_first: bool = True
    on_saved: Callable[[], None] = lambda: None

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.config.run.folder

    def save_last(self, parts: Parts, epoch: int) -> None:
        """Write last.pt: the weights and all that the next step depends on."""
        weights, training = _states(parts)
        training["config"] = to_dict(self.config)
        if self.is_first:
            content = self._checkpoint(weights, epoch, {}, training)
            write_checkpoint(self.folder / LAST_NAME, content)
            self.on_saved()

    def save_best(
        self,
        weights: Mapping[str, Tensor],
        epoch: int,
        validation: Validation,
        earned: tuple[str, ...],
        held_out: HeldOut,
    ) -> None:
        """Write checkpoint and detailed metrics of each record of an epoch.

        A validation loss that is not finite breaks no record; it is warned of, and null in JSON.
        The held-out predictions stand in the checkpoint itself: whatever interrupts the run, they
        are those of its weights. `decisions.py` takes them out at the end.
        """
        if not self.is_first:
            return
        is_finite = math.isfinite(validation.loss)
        if not is_finite:
            warnings.warn(
                f"epoch {epoch + 1}: the validation loss is {validation.loss}, so "
                "neither best_both.pt nor best_loss.pt is written",
                stacklevel=1,
            )
        metrics = {
            "epoch": epoch,
            # JSON has no NaN: other readers would refuse the whole file.
            "val_loss": validation.loss if is_finite else None,
            **validation.report.to_dict(),
        }
        text = json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"
        for kind in earned:
            path = self.folder / f"best_{kind}.pt"
            if kind == earned[0]:
                content = self._checkpoint(weights, epoch, metrics, {})
                write_checkpoint(path, replace(content, held_out=held_out))
            else:  # the same content: written once
                link_or_copy(self.folder / f"best_{earned[0]}.pt", path)
            write_text(self.folder / f"{kind}_{METRICS_JSON}", text)
        if earned:
            self.on_saved()

    def save_held_out(self, held_out: HeldOut) -> None:
        """Write held_out_last.npz: what the last epoch makes of the validation rows.

        Its epoch was not chosen by them, so a cross-validation pools these.
        """
        if self.is_first:
            held_out.write(self.folder / HELD_OUT_LAST_NAME)

    def save_final(self, weights: Mapping[str, Tensor], epoch: int) -> None:
        """Write final.pt: the model of a run without validation rows, after its last epoch."""
        if self.is_first:
            content = self._checkpoint(weights, epoch, {}, {})
            write_checkpoint(self.folder / FINAL_NAME, content)
            self.on_saved()

    def restore(self, parts: Parts) -> bool:
        """Put every part where last.pt was written; False if there is none.

        Raises:
            InputError: last.pt is damaged, of another taxonomy, or lacks what this version needs.
        """
        path = self.folder / LAST_NAME
        if not path.exists():
            warnings.warn(
                f"`resume`: {path.absolute()} is not there, so the run starts from the beginning; "
                "to resume a run elsewhere: `vtax train --config RUN_FOLDER/config.toml --resume`",
                stacklevel=1,
            )
            return False
        checkpoint = read_checkpoint(path)
        if checkpoint.taxonomy != self.taxonomy:
            raise InputError(f"{path}: its taxonomy is not that of the labels of this run")
        self._check_config(path, checkpoint)
        _, training = _states(parts)
        # Before any part is loaded: a run that is half restored must not go on.
        missing = _missing(training, checkpoint.training)
        if missing:
            raise InputError(
                f"{path} lacks {', '.join(missing)}: another version of vtax wrote it, or a run "
                "with another `precision`; resume with that one, or train again (`overwrite`)"
            )
        for name, part in parts.items():
            part.load_state_dict(
                checkpoint.weights if name == "model" else checkpoint.training[name]
            )
        return True

    def _check_config(self, path: Path, checkpoint: Checkpoint) -> None:
        # The one copy with a checksum: a digit of config.toml that flipped would be another run.
        if "config" in checkpoint.training:  # version 0.1 did not write it
            kept = from_dict(TrainConfig, checkpoint.training["config"], str(path))
            remedy = f"correct {CONFIG_NAME} beside it and resume"
            check_unchanged(self.config, kept, path, remedy)

    def warn_of_missing(self) -> None:
        """Say at the end of a run which checkpoints no epoch has earned."""
        names = [f"best_{kind}.pt" for kind in KINDS]
        missing = [name for name in names if not (self.folder / name).exists()]
        if missing:
            there = [name for name in (*names, LAST_NAME) if (self.folder / name).exists()]
            warnings.warn(
                f"{self.folder}: no epoch had a finite validation loss, so there is no "
                f"{' and no '.join(missing)}, only {' and '.join(there)}; lower `scratch_lr` and "
                "`pretrained_lr` or use `precision=32`",
                stacklevel=1,
            )

    def _checkpoint(
        self,
        weights: Mapping[str, Tensor],
        epoch: int,
        metrics: dict[str, Any],
        training: dict[str, Any],
    ) -> Checkpoint:
        return Checkpoint(
            self.taxonomy,
            self.model,
            weights,
            epoch,
            metrics,
            self.class_counts,
            training,
            self.named_columns,
            columns=columns_of(self.config.data),
        )


def _states(parts: Parts) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights, and the states of all other parts by name."""
    states = {name: part.state_dict() for name, part in parts.items()}
    return states.pop("model"), states


def _missing(expected: Mapping[str, Any], saved: Mapping[str, Any], inside: str = "") -> list[str]:
    """Dotted names of what a state of this version has and the saved one has not."""
    found = []
    for name, value in expected.items():
        if name not in saved:
            found.append(f"{inside}{name}")
        elif isinstance(value, Mapping) and isinstance(saved[name], Mapping):
            found += _missing(value, saved[name], f"{inside}{name}.")
    return found
