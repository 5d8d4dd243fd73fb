"""The folder of a run: who may write it, which run it holds, and the run that a new one replaces.

A new run moves what the old one left into `.replaced`, with a list of it, and deletes that only
once it has saved a checkpoint of its own. Until then everything can be put back: at once if the
new run fails, or by the next command if the process was killed.
"""

import fnmatch
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import read_toml, to_dict, to_toml
from visual_taxonomy.errors import InputError
from visual_taxonomy.leftovers import remove_leftovers_in
from visual_taxonomy.training.interruption import undisturbed

CONFIG_NAME = "config.toml"
LAST_NAME = "last.pt"
FINAL_NAME = "final.pt"
SPLIT_NAME = "split.csv"
HELD_OUT_LAST_NAME = "held_out_last.npz"

WRITTEN = (
    *(CONFIG_NAME, LAST_NAME, SPLIT_NAME, "class_counts.csv", "data.parquet", "unreadable.csv"),
    *("metrics.csv", "task_diagnostics.csv", "best_*.pt", "*_detailed_metrics.json"),
    *("training.png", "scores.png", "conflicts.png", "tensorboard", "mlruns", "wandb"),
    *("report.html", "environment.json", "final.pt"),
    *("trackers.json", "mlflow.db", "mlartifacts", "held_out*.npz", "teacher_*.npz"),
    *("probe.json", "learning_curve.csv", "label_gains.csv"),
)
"""Patterns of all that a run writes; what else stands in the folder belongs to the user."""

_REPLACED, _DISCARDED, _MANIFEST = ".replaced", ".discarded", "manifest.json"
_LOCK, _HOLDER = ".lock", ".lock_holder.json"
# Loading processes of a killed run share its lock; they notice within 5 s that it is gone.
_SECONDS_FOR_LOADERS = 30.0

_MAY_CHANGE = {
    "data": {
        *("img_dir", "csv_path", "val_csv_path", "test_csv_path", "split_path"),
        *("attributes_config", "parq_path", "train_workers", "val_workers", "decision_from"),
    },
    "optimizer": {"patience"},
}
# Only whether there is one changes numbers, not where it is.
_MAY_MOVE = {"image_cache", "feature_cache"}


class RunFolder:
    """The folder while a process holds it; made by `claim`.

    Args:
        config: The run that is about to start or to be resumed.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.path = config.run.folder
        self.is_resumed = config.run.resume
        # `_recover` leaves it for the resumed first start that was killed before it saved.
        self._is_unsaved = (self.path / _REPLACED).exists()

    @property
    def split(self) -> Path | None:
        """The split of the run that is resumed; None if a new one is to be drawn."""
        path = self.path / SPLIT_NAME
        return path if self.is_resumed and path.exists() else None

    def begin(self, config: TrainConfig, write: Callable[[], None]) -> None:
        """Move an old run aside and write the records of this one.

        Args:
            config: As it runs; kept for `resume`.
            write: Writes the other records into the folder.
        """
        remove_leftovers_in(self.path)
        if not self.is_resumed:
            self._is_unsaved = True
            self._move_aside()
        write()
        # Last: a folder with a config.toml of a run holds everything else that resuming needs.
        as_started = replace(config.run, resume=False, overwrite=False, accept_changed_data=False)
        write_text(self.path / CONFIG_NAME, to_toml(replace(config, run=as_started)))

    def settle(self) -> None:
        """The run has saved a checkpoint: delete what it replaces."""
        if self._is_unsaved:
            _discard(self.path)
            self._is_unsaved = False

    def roll_back(self) -> None:
        """Put back the old run, unless this one has saved a checkpoint or is a resumed one."""
        if self._is_unsaved and not self.is_resumed:
            # A loader's death may have broken a writer off before it could remove its own.
            remove_leftovers_in(self.path)
            _restore(self.path)
            self._is_unsaved = False

    def _move_aside(self) -> None:
        names = _written(self.path)
        aside = self.path / _REPLACED
        # The list comes first: whoever finds half of the files moved knows which were there.
        write_text(aside / _MANIFEST, json.dumps(names))
        for name in names:
            # Within one folder, so no bytes move, however large the checkpoints are.
            os.rename(self.path / name, aside / name)


@contextmanager
def claim(config: TrainConfig) -> Iterator[RunFolder]:
    """Hold the run folder of a config while the block runs; nothing is written into it yet.

    When the block ends before the run has saved a checkpoint, the folder is as it was.

    Raises:
        InputError: Another process holds it, it holds a run that is neither resumed nor
            overwritten, or the run to resume had another config.
    """
    path = config.run.folder
    # A start that fails leaves no empty folders behind: those it made go again.
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # First in, last out: the folder is not empty before the lock has left it.
        stack.callback(_remove_empty, made)
        stack.enter_context(_locked(path))
        # Under the lock, and before the check: what a killed process left is no run to protect.
        _recover(path, config.run.resume)
        _check(config)
        folder = RunFolder(config)
        try:
            yield folder
        finally:
            # Closed here: at the end of the outer block a loader that dies could break it off.
            with undisturbed():
                folder.roll_back()
                stack.close()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something: the run, or what somebody else put there
            folder.rmdir()


def at_its_place(path: Path, config: TrainConfig) -> TrainConfig:
    """The config of a run, read from `path`, with the folder that it stands in as run folder.

    The folder may have been moved since, or the working directory be another one. A config that
    stands in no run folder stays as it is.
    """
    if path.name != CONFIG_NAME or not (path.parent / SPLIT_NAME).exists():
        return config
    folder = path.parent.resolve()
    return replace(config, run=replace(config.run, save_dir=folder.parent, run_name=folder.name))


def check_unchanged(config: TrainConfig, kept: TrainConfig, path: Path, remedy: str) -> None:
    """Compare the config of a run with the one it was started with.

    Args:
        config: As given now.
        kept: As it was started.
        path: Where that was read.
        remedy: What to do, for the message.

    Raises:
        InputError: A setting that changes numbers differs.
    """
    new, old = numerical_settings(config), numerical_settings(kept)
    now, then = to_dict(config), to_dict(kept)
    for section in new:
        # Both sides: to_dict leaves out what is None, so a flag may be on one of them only.
        for name in sorted({*new[section], *old[section]}):
            if new[section].get(name) != old[section].get(name):
                raise InputError(
                    f"`resume`: `{name}` is {now[section].get(name)}, but the run in {path.parent} "
                    f"has {then[section].get(name)} (see {path.name}); {remedy}"
                )


def numerical_settings(config: TrainConfig) -> dict[str, dict[str, Any]]:
    """Section -> setting -> value, of all settings that change what a run computes.

    Example:
        >>> from visual_taxonomy.config import DataConfig
        >>> config = TrainConfig(DataConfig(Path("images"), Path("train.csv")))
        >>> "epochs" in numerical_settings(config)["optimizer"]
        True
    """
    plain = to_dict(config)
    return {
        section: {
            name: bool(value) if name in _MAY_MOVE else value
            for name, value in plain[section].items()
            if name not in _MAY_CHANGE.get(section, set())
        }
        for section in ("data", "model", "objective", "optimizer")
    }


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / _LOCK)
    holder = path / _HOLDER
    try:
        # Not waiting: whoever starts a second training by mistake wants to know now.
        lock.acquire(timeout=0)
    except Timeout:
        other = _read_holder(holder)
        try:
            lock.acquire(timeout=_SECONDS_FOR_LOADERS if _is_gone(other) else 0)
        except Timeout:
            who = " (process {process} on {host} since {since})".format(**other) if other else ""
            raise InputError(
                f"{path}: another training run uses it{who}; wait until it ends, stop it, or "
                "choose another `run_name`"
            ) from None
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        own = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
        write_text(holder, json.dumps(own))
        yield
    finally:
        # In this order: without the lock somebody else may have written his own name.
        holder.unlink(missing_ok=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _read_holder(path: Path) -> dict[str, Any] | None:
    # Of two that start at once, one has the lock a moment before it can say who it is.
    for _ in range(20):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Two seconds in all; writing a line takes milliseconds.
            time.sleep(0.1)
        else:
            is_ours = isinstance(found, dict) and {"process", "host", "since"} <= set(found)
            return found if is_ours else None
    return None


def _is_gone(holder: dict[str, Any] | None) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    # On Windows 0 is CTRL_C_EVENT: to ask would be to interrupt the process.
    if os.name != "posix" or holder is None or holder["host"] != socket.gethostname():
        return False
    try:
        # Signal 0 is not sent; it only asks whether there is such a process.
        os.kill(int(holder["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        # Such as PermissionError: there is one, of another user.
        return False
    return False


def _check(config: TrainConfig) -> None:
    folder = config.run.folder
    if config.run.overwrite:
        return
    if not config.run.resume:
        if any(fnmatch.fnmatch(name, "*.pt") or name == CONFIG_NAME for name in _written(folder)):
            raise InputError(
                f"{folder} already holds a run: resume it (`resume`), start again (`overwrite`) "
                "or choose another `run_name`"
            )
    elif (folder / CONFIG_NAME).exists():
        kept = folder / CONFIG_NAME
        remedy = f"start with `vtax train --config {kept} --resume`"
        check_unchanged(config, read_toml(TrainConfig, kept), kept, remedy)


def _recover(path: Path, is_resumed: bool) -> None:
    """Tidy up after a process that was killed before it could."""
    _remove(path / _DISCARDED)
    aside = path / _REPLACED
    # A first start that was killed before it saved replaces nothing: it can be resumed.
    if aside.exists() and not (is_resumed and _manifest(aside) == []):
        _restore(path)


def _restore(path: Path) -> None:
    """Undo what was begun; may itself be interrupted at any place, and called again."""
    aside = path / _REPLACED
    names = _manifest(aside)
    if names is not None:
        for name in _written(path):
            if name not in names:
                _remove(path / name)  # of the run that failed
        for name in names:
            # Not there: an earlier call put it back before it was interrupted.
            if (aside / name).exists():
                _remove(path / name)
                os.replace(aside / name, path / name)
    _remove(aside)


def _discard(path: Path) -> None:
    # Renamed first: from here on nobody puts back what is half deleted.
    os.replace(path / _REPLACED, path / _DISCARDED)
    _remove(path / _DISCARDED)


def _manifest(aside: Path) -> list[str] | None:
    """Names of what was there; None if nothing has been moved yet."""
    path = aside / _MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _written(path: Path) -> list[str]:
    names = sorted(entry.name for entry in path.iterdir())
    return [name for name in names if any(fnmatch.fnmatch(name, each) for each in WRITTEN)]


def _remove(path: Path) -> None:
    # A link to a folder goes itself, and what it points to stays.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
