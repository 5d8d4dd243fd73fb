"""Weights & Biases. `WANDB_MODE=offline` writes into the run folder, for `wandb sync` later."""

import uuid
from pathlib import Path

from typing_extensions import override

from visual_taxonomy.config import RunConfig
from visual_taxonomy.training.trackers.base import Status, Tracker


class WandbTracker(Tracker):
    """A run of W&B; a resumed run continues under its id."""

    packages = ("wandb",)

    def __init__(self, config: RunConfig, run_id: str | None = None) -> None:
        from lightning.pytorch.loggers import WandbLogger

        config.folder.mkdir(parents=True, exist_ok=True)
        self._id = run_id or uuid.uuid4().hex[:8]
        self.logger = self._wandb = WandbLogger(
            name=config.run_name,
            project=config.wandb_project,
            save_dir=str(config.folder),
            id=self._id,
            # Goes on with the run of that id or starts it; "must" would refuse a new one.
            resume="allow",
        )

    @property
    @override
    def run_id(self) -> str | None:
        return self._id

    @override
    def log_image(self, path: Path) -> None:
        self._wandb.log_image(path.stem, [str(path)])

    @override
    def log_checkpoint(self, path: Path) -> None:
        self._wandb.experiment.log_artifact(path, name=f"{path.stem}-{self._id}", type="model")

    @override
    def finish(self, status: Status) -> None:
        super().finish(status)
        # Lightning leaves this to W&B's exit hook, which a process of many runs never reaches.
        self._wandb.experiment.finish(exit_code=0 if status == "success" else 1)
