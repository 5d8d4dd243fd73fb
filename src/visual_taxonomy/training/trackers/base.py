"""The interface of the experiment trackers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.fabric.loggers.logger import Logger

from visual_taxonomy.config import RunConfig

Status = Literal["success", "failed"]


class Tracker(ABC):
    """A run as an experiment tracker shows it: a thin layer over Lightning's logger.

    Args:
        config: Names of run and project, and the run folder.
        run_id: The tracker's own id of the run that is resumed; None for a new run.
    """

    packages: ClassVar[tuple[str, ...]]
    """Modules it needs; the extra named like its flag installs them."""

    logger: Logger

    @abstractmethod
    def __init__(self, config: RunConfig, run_id: str | None = None) -> None: ...

    @property
    def run_id(self) -> str | None:
        """What to give as `run_id` when this run is resumed; None where the folder is enough."""
        return None

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Record the configuration: sections of plain values."""
        self.logger.log_hyperparams(dict(config))

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record values by name at a step."""
        self.logger.log_metrics(dict(values), step)

    @abstractmethod
    def log_image(self, path: Path) -> None:
        """Record a plot (PNG) under the name of its file."""

    @abstractmethod
    def log_checkpoint(self, path: Path) -> None:
        """Record a checkpoint file."""

    def finish(self, status: Status) -> None:
        """Mark the run as ended and send what is still kept back."""
        self.logger.finalize(status)
