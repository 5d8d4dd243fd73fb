"""TensorBoard: event files in the run folder, in `tensorboard/`."""

from pathlib import Path

import numpy as np
from PIL import Image
from typing_extensions import override

from visual_taxonomy.config import RunConfig
from visual_taxonomy.training.trackers.base import Tracker


class TensorBoardTracker(Tracker):
    """Event files; a resumed run adds a file to the folder."""

    packages = ("tensorboard",)

    def __init__(self, config: RunConfig, run_id: str | None = None) -> None:
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger

        # Without a version, or a resumed run would write into version_1 beside the first part.
        self.logger = self._tensorboard = TensorBoardLogger(
            config.folder, name="tensorboard", version=""
        )

    @override
    def log_image(self, path: Path) -> None:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._tensorboard.experiment.add_image(path.stem, pixels, dataformats="HWC")

    @override
    def log_checkpoint(self, path: Path) -> None:
        # Event files hold no files; the text says where the checkpoint is.
        self._tensorboard.experiment.add_text(path.stem, str(path.resolve()))
