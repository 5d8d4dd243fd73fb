"""Experiment trackers: what a run logs beside the files of its folder."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from visual_taxonomy.atomic import write_text
from visual_taxonomy.config import RunConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import Report
from visual_taxonomy.training.records import RECOMMENDED
from visual_taxonomy.training.run_folder import FINAL_NAME
from visual_taxonomy.training.trackers.base import Status, Tracker
from visual_taxonomy.training.trackers.mlflow import MLflowTracker
from visual_taxonomy.training.trackers.tensorboard import TensorBoardTracker
from visual_taxonomy.training.trackers.wandb import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {  # flag and extra -> tracker
    "wandb": WandbTracker,
    "tensorboard": TensorBoardTracker,
    "mlflow": MLflowTracker,
}
IDS_NAME = "trackers.json"
"""File of the run folder with the ids under which the trackers know the run."""


class Trackers:
    """The trackers of a run that its flags ask for, all told the same.

    Only the first process of a run has them. Nothing is opened before `run`.

    Args:
        config: Flags, names and the run folder.

    Raises:
        InputError: A package of a tracker is not installed.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._kinds = {name: kind for name, kind in TRACKERS.items() if getattr(config, name)}
        self._open: dict[str, Tracker] = {}
        for name, kind in self._kinds.items():
            # Looked for, not imported: that takes seconds, and the run may yet be refused.
            missing = [package for package in kind.packages if find_spec(package) is None]
            if missing:
                raise InputError(
                    f"`{name}` needs {' and '.join(missing)}, not installed here: "
                    f"pip install 'visual-taxonomy[{name}]'"
                )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values by name at a step."""
        for tracker in self._open.values():
            tracker.log_metrics(values, step)

    @contextmanager
    def run(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Open the trackers for a run; when the block ends, record what it left and close them.

        That is all plots in the run folder and, where asked for, the recommended checkpoint. A
        block that ends with an error, or is interrupted, is recorded as failed.

        Args:
            config: The configuration to record: sections of plain values.
        """
        self._start(config)
        try:
            yield
            self._record_files()
        # Ctrl-C too: left open, the run would look as if it were still going.
        except BaseException:
            self._finish("failed")
            raise
        self._finish("success")

    def _start(self, config: Mapping[str, Any]) -> None:
        path = self._config.folder / IDS_NAME
        is_known = self._config.resume and path.exists()
        ids = json.loads(path.read_text(encoding="utf-8")) if is_known else {}
        for name, kind in self._kinds.items():
            self._open[name] = tracker = kind(self._config, ids.get(name))
            tracker.log_config(config)
        ids = {name: tracker.run_id for name, tracker in self._open.items() if tracker.run_id}
        if ids:
            write_text(path, json.dumps(ids, indent=2) + "\n")

    def _record_files(self) -> None:
        folder = self._config.folder
        final = folder / FINAL_NAME
        best = final if final.exists() else folder / f"best_{RECOMMENDED}.pt"
        for tracker in self._open.values():
            for plot in sorted(folder.glob("*.png")):
                tracker.log_image(plot)
            if self._config.log_checkpoint and best.exists():
                tracker.log_checkpoint(best)

    def _finish(self, status: Status) -> None:
        for tracker in self._open.values():
            tracker.finish(status)


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
