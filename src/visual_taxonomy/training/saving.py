"""What a run leaves on the disk, and how it goes on from there."""

import json
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from visual_taxonomy.atomic import link_or_copy, write_text
from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from visual_taxonomy.config import TrainConfig, from_dict, to_dict
from visual_taxonomy.errors import InputError
from visual_taxonomy.training.history import EpochLosses, write_metrics
from visual_taxonomy.training.records import KINDS, Records
from visual_taxonomy.training.run_folder import CONFIG_NAME, LAST_NAME, check_unchanged
from visual_taxonomy.training.setup import Position, Run
from visual_taxonomy.training.step import Validation

METRICS_JSON = "detailed_metrics.json"


def save_last(run: Run) -> None:
    """Write last.pt: the weights and all that the next step depends on."""
    training = _training_state(run) | {"config": to_dict(run.config)}
    if run.fabric.is_global_zero:
        write_checkpoint(run.config.run.folder / LAST_NAME, _checkpoint(run, {}, training))
        run.on_saved()


def _training_state(run: Run) -> dict[str, Any]:
    position = run.position
    return {
        "epoch": position.epoch,
        "step": position.step,
        "records": position.records.to_dict(),
        "history": position.history,
        "loss_sums": position.losses.sums,
        "loss_entries": position.losses.entries,
        "diagnostics": run.diagnostics.to_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
        "method": run.method.state_dict(),
        "objective": run.objective.state_dict(),
        "random": torch.get_rng_state(),
        "device_random": _device_random(run),
        "generator": run.generator.get_state(),
    }


def save_epoch(run: Run, validation: Validation, earned: tuple[str, ...]) -> None:
    """Write metrics.csv, and checkpoint and detailed metrics of each record of the epoch.

    A validation loss that is not finite breaks no record; it is warned of, and null in JSON.
    """
    if not run.fabric.is_global_zero:
        return
    folder = run.config.run.folder
    write_metrics(folder, run.position.history)
    run.diagnostics.write(folder)
    is_finite = math.isfinite(validation.loss)
    if not is_finite:
        warnings.warn(
            f"epoch {run.position.epoch + 1}: the validation loss is {validation.loss}, which "
            "earns neither best_both.pt nor best_loss.pt",
            stacklevel=1,
        )
    metrics = {
        "epoch": run.position.epoch,
        "val_loss": validation.loss if is_finite else None,
        **validation.report.to_dict(),
    }
    text = json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"
    for kind in earned:
        path = folder / f"best_{kind}.pt"
        if kind == earned[0]:
            write_checkpoint(path, _checkpoint(run, metrics, {}))
        else:  # the same content: written once
            link_or_copy(folder / f"best_{earned[0]}.pt", path)
        write_text(folder / f"{kind}_{METRICS_JSON}", text)
    if earned:
        run.on_saved()


def warn_of_missing(run: Run) -> None:
    """Say at the end of a run which checkpoints no epoch has earned."""
    folder, names = run.config.run.folder, [f"best_{kind}.pt" for kind in KINDS]
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        there = [name for name in (*names, LAST_NAME) if (folder / name).exists()]
        warnings.warn(
            f"{folder}: no epoch had a finite validation loss, so there is no "
            f"{' and no '.join(missing)}, only {' and '.join(there)}; lower --scratch_lr and "
            "--pretrained_lr or use --precision 32",
            stacklevel=1,
        )


def restore(run: Run, say: Callable[[str], None]) -> None:
    """Put the run where its last.pt was written; without one it starts from the beginning.

    Raises:
        InputError: last.pt is damaged, of another taxonomy, or lacks what this version needs.
    """
    path = run.config.run.folder / LAST_NAME
    if not path.exists():
        warnings.warn(
            f"--resume: {path.absolute()} is not there, so the run starts from the beginning; to "
            "resume a run elsewhere give its own file: --config RUN_FOLDER/config.toml --resume",
            stacklevel=1,
        )
        return
    checkpoint = read_checkpoint(path)
    if checkpoint.taxonomy != run.tables.taxonomy:
        raise InputError(f"{path}: its taxonomy is not the one of {run.config.data.csv_path}")
    saved = checkpoint.training
    # The one copy with a checksum: a digit of config.toml that flipped would be another run.
    if "config" in saved:  # version 0.1 did not write it
        kept = from_dict(TrainConfig, saved["config"], str(path))
        check_unchanged(run.config, kept, path, f"correct {CONFIG_NAME} beside it and resume")
    missing = _missing(_training_state(run), saved)
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}: another version of vtax wrote it, or a run with "
            "another --precision; resume with that one, or train anew (--overwrite)"
        )
    run.model.load_state_dict(dict(checkpoint.weights))
    run.optimizer.load_state_dict(saved["optimizer"])
    run.scaler.load_state_dict(saved["scaler"])
    run.method.load_state_dict(saved["method"])
    run.objective.load_state_dict(saved["objective"])
    torch.set_rng_state(saved["random"])
    if saved["device_random"] is not None and run.device.type == "cuda":
        torch.cuda.set_rng_state(saved["device_random"], run.device)
    run.generator.set_state(saved["generator"])
    run.diagnostics.load(saved["diagnostics"])
    run.position = Position(
        saved["epoch"],
        saved["step"],
        Records(**saved["records"]),
        list(saved["history"]),
        EpochLosses(dict(saved["loss_sums"]), dict(saved["loss_entries"])),
    )
    say(f"going on from epoch {run.position.epoch + 1}, step {run.position.step}")


def _missing(expected: Mapping[str, Any], saved: Mapping[str, Any], inside: str = "") -> list[str]:
    """Dotted names of what a state of this version has and the saved one has not."""
    found = []
    for name, value in expected.items():
        if name not in saved:
            found.append(f"{inside}{name}")
        elif isinstance(value, Mapping) and isinstance(saved[name], Mapping):
            found += _missing(value, saved[name], f"{inside}{name}.")
    return found


def _checkpoint(run: Run, metrics: dict[str, Any], training: dict[str, Any]) -> Checkpoint:
    return Checkpoint(
        run.tables.taxonomy,
        run.model_config,
        run.model.state_dict(),
        run.position.epoch,
        metrics,
        run.class_counts,
        training,
        bool(run.tables.training.named_columns),
    )


def _device_random(run: Run) -> torch.Tensor | None:
    return torch.cuda.get_rng_state(run.device) if run.device.type == "cuda" else None
