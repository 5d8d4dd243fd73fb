"""Where a run computes and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visual_taxonomy.config.choices import Precision
from visual_taxonomy.config_checks import positive
from visual_taxonomy.errors import InputError


@dataclass(frozen=True)
class RunConfig:
    """Where the run computes and what it writes."""

    save_dir: Path = Path("output")
    """Folder of all runs."""
    run_name: str = "visual_taxonomy_train"
    """Folder of this run in save_dir."""
    resume: bool = False
    """Resume from last.pt in the run folder; with --config, in the folder of that file."""
    accept_changed_data: bool = False
    """Resume even if labels or images have changed since the run started."""
    overwrite: bool = False
    """Start again in a folder that holds a run.
    The old run is deleted when the new one first saves."""
    save_every: int = 200
    """Steps between saves of last.pt; an epoch of 10 s or more ends with a save too."""
    log_every: int = 20
    """Steps between two reports of the losses."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bf16 if it is faster on the device, else 32."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Devices (processes) that share each batch."""
    num_nodes: int = 1
    """Machines, each with that many devices."""
    wandb: bool = False
    """Log to Weights & Biases (needs visual-taxonomy[wandb]).
    With WANDB_MODE=offline, `wandb sync` sends the log later."""
    wandb_project: str = "visual_taxonomy"
    """Project in Weights & Biases."""
    tensorboard: bool = False
    """Log to TensorBoard in the run folder (needs visual-taxonomy[tensorboard])."""
    mlflow: bool = False
    """Log to MLflow (needs visual-taxonomy[mlflow]).
    The log is a database in the run folder, or the server MLFLOW_TRACKING_URI."""
    log_checkpoint: bool = False
    """At the end of the run, send the recommended checkpoint to the trackers."""

    def __post_init__(self) -> None:
        names = ("save_every", "log_every", "devices", "num_nodes")
        positive(**{name: getattr(self, name) for name in names})
        if self.resume and self.overwrite:
            raise InputError("`resume` and `overwrite` exclude each other; give one of them")
        # A path would put the run, whose old files `overwrite` deletes, outside of `save_dir`.
        if self.run_name in ("", ".", "..") or set(self.run_name) & set("/\\\0"):
            raise InputError(
                f"`run_name` must be the name of a folder in `save_dir`, not '{self.run_name}'"
            )

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.save_dir / self.run_name
