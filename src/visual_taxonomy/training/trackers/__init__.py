"""Experiment trackers: what a run logs beside the files of its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import RunConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import Report
from visual_taxonomy.training.trackers.base import Status, Tracker
from visual_taxonomy.training.trackers.mlflow import MLflowTracker
from visual_taxonomy.training.trackers.tensorboard import TensorBoardTracker
from visual_taxonomy.training.trackers.wandb import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {  # flag -> tracker
    "wandb": WandbTracker,
    "tensorboard": TensorBoardTracker,
    "mlflow": MLflowTracker,
}
IDS_NAME = "trackers.json"
"""File of the run folder with the ids under which the trackers know the run."""


class Trackers:
    """All trackers of a run, told the same. Only the first process of a run has any.

    Args:
        trackers: Flag -> tracker; empty for none.
        folder: The run folder.
        keeps_checkpoint: Whether `finish` logs the checkpoint.
    """

    def __init__(
        self, trackers: Mapping[str, Tracker], folder: Path, keeps_checkpoint: bool = False
    ) -> None:
        self._trackers = trackers
        self._folder = folder
        self._keeps_checkpoint = keeps_checkpoint

    def start(self, config: Mapping[str, Any]) -> None:
        """Record the configuration, and the trackers' ids for a later resume."""
        for tracker in self._trackers.values():
            tracker.log_config(config)
        ids = {name: tracker.run_id for name, tracker in self._trackers.items() if tracker.run_id}
        if ids:
            write_text(self._folder / IDS_NAME, json.dumps(ids, indent=2) + "\n")

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values by name at a step."""
        for tracker in self._trackers.values():
            tracker.log_metrics(values, step)

    def log_report(self, report: Report, step: int) -> None:
        """Record the scores of every category and attribute at a step."""
        if self._trackers:
            self.log(named_scores(report), step)

    def finish(self, status: Status, plots: Sequence[Path] = (), best: Path | None = None) -> None:
        """Record plots and, where asked for, the checkpoint; then end the run."""
        for tracker in self._trackers.values():
            for plot in plots:
                tracker.log_image(plot)
            if best is not None and self._keeps_checkpoint:
                tracker.log_checkpoint(best)
            tracker.finish(status)


def build_trackers(config: RunConfig) -> Trackers:
    """The trackers asked for by flag; those of a resumed run continue it.

    Raises:
        InputError: The package of a tracker is not installed.
    """
    path = config.folder / IDS_NAME
    ids = json.loads(path.read_text(encoding="utf-8")) if config.resume and path.exists() else {}
    trackers = {}
    for name, kind in TRACKERS.items():
        if getattr(config, name):
            try:
                trackers[name] = kind(config, ids.get(name))
            except ModuleNotFoundError as error:
                missing = f" ({error.name})" if error.name else ""  # Lightning leaves the name out
                raise InputError(
                    f"--{name} needs a package that is not installed{missing}: "
                    f"pip install 'visual-taxonomy[{kind.extra}]'"
                ) from None
    return Trackers(trackers, config.folder, config.log_checkpoint)


def named_scores(report: Report) -> dict[str, float]:
    """HM, micro and macro F1 by "score/category" and "score/category/attribute".

    An attribute without a labelled row has no score and no entry.
    """
    named: dict[str, float] = {}
    for category in report.categories:
        nodes = [(category.name, category)] + [
            (f"{category.name}/{attribute.name}", attribute) for attribute in category.attributes
        ]
        for name, node in nodes:
            scores = {"hm": node.hm, "micro": node.micro, "macro": node.macro}
            named |= {f"{k}/{name}": value for k, value in scores.items() if value is not None}
    return named
