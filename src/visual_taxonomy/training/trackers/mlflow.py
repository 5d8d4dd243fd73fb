"""MLflow: a SQLite database and artifacts in the run folder, or the server MLFLOW_TRACKING_URI."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from visual_taxonomy.config import RunConfig
from visual_taxonomy.training.trackers.base import Tracker

DATABASE_NAME = "mlflow.db"
_MOST_METRICS = 1000  # of one request, as MLflow documents it
_FORBIDDEN = re.compile(r"[^\w/. -]")  # in the name of a metric


class MLflowTracker(Tracker):
    """A run of MLflow; a resumed run continues under its id.

    MLflow 3 refuses its old file store, so the default is a database:
    `mlflow ui --backend-store-uri sqlite:///<run folder>/mlflow.db` shows it.
    """

    packages = ("mlflow", "sqlalchemy", "alembic")

    def __init__(self, config: RunConfig, run_id: str | None = None) -> None:
        from lightning.pytorch.loggers import MLFlowLogger

        folder = config.folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        server = os.environ.get("MLFLOW_TRACKING_URI")
        self.logger = self._mlflow = MLFlowLogger(
            experiment_name=config.run_name,
            run_name=config.run_name,
            # A server has its own place for artifacts; a path of this machine says nothing to it.
            tracking_uri=server or f"sqlite:///{folder / DATABASE_NAME}",
            artifact_location=None if server else (folder / "mlartifacts").as_uri(),
            run_id=run_id,
        )

    @property
    @override
    def run_id(self) -> str | None:
        return self._mlflow.run_id

    @override
    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        # Lightning sends a request a metric, and drops letters beyond ASCII from the names.
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_FORBIDDEN.sub("_", k), v, now, step) for k, v in values.items()]
        for start in range(0, len(metrics), _MOST_METRICS):
            batch = metrics[start : start + _MOST_METRICS]
            self._mlflow.experiment.log_batch(self.run_id, metrics=batch)

    @override
    def log_image(self, path: Path) -> None:
        self._mlflow.experiment.log_artifact(self.run_id, str(path), "plots")

    @override
    def log_checkpoint(self, path: Path) -> None:
        self._mlflow.experiment.log_artifact(self.run_id, str(path), "checkpoints")
