"""`vtax export`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from visual_taxonomy.commands.terminal import console, show_progress
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    from visual_taxonomy.inference.export.bundle_writer import Trial


@dataclass(frozen=True)
class Export:
    """Write a checkpoint as a folder that runs without torch and gives the same predictions."""

    out: Path
    """Folder to create."""
    checkpoint: tyro.conf.Positional[Path | None] = None
    """Checkpoint."""
    ckpt_path: Path | None = None
    """The checkpoint as a flag, as in predict and evaluate."""
    attributes_config: Path | None = None
    """Expected taxonomy; only checkpoints of the original system need one."""
    to: Literal["bundle", "onnx", "openvino"] = "bundle"
    """bundle: weights for torch and an ONNX graph; onnx: the graph; openvino: its own format."""
    int8: bool = False
    """Quantise the matrix products to 8 bits, calibrated on images of the CSV."""
    csv_path: Path | None = None
    """Labelled CSV (or Parquet) on which checkpoint and export are compared."""
    img_dir: Path | None = None
    """Folder of the images; None: they stand in a column of --csv_path (Parquet)."""
    min_agreement: float | None = None
    """Minimum label agreement with the checkpoint; None: 0.999, with --int8 0.99."""
    max_rows: int = 2000
    """Maximum number of rows to compare on, drawn at random from a longer CSV."""
    calibration_rows: int = 256
    """Rows to calibrate --int8 on, at most half of the CSV; the comparison leaves them out."""
    workers: int = 2
    """Processes or threads that load images; at most one per core."""
    labels: LabelReading = field(default_factory=LabelReading)

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.ckpt_path is None):
            raise InputError("give one checkpoint: `vtax export FILE`, or --ckpt_path FILE")
        if self.csv_path is None and self.img_dir is not None:
            raise InputError("--img_dir without --csv_path; give both or none")
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise InputError(f"--min_agreement must lie in [0, 1], not {self.min_agreement}")
        least = {"max_rows": 1, "calibration_rows": 1, "workers": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise InputError(f"--{name} must be {value} or more, not {getattr(self, name)}")

    @property
    def path(self) -> Path:
        """The checkpoint, from either argument."""
        path = self.checkpoint or self.ckpt_path
        assert path is not None
        return path


def export(options: Export) -> int:
    """Write a checkpoint as a folder that runs without torch and gives the same predictions."""
    from visual_taxonomy.inference.export.bundle_writer import export as write

    trial = _trial(options)
    count = None if trial is None else 2 * len(trial.split(options.int8)[1])
    with show_progress(console, "comparing", count) as advance:
        bundle = write(
            options.path,
            options.out,
            options.to,
            options.int8,
            trial,
            options.workers,
            advance,
            options.attributes_config,
        )
    if bundle.measured:
        found = bundle.measured
        console.print(
            f"{found['agreement']:.3%} of {found['labels']} labels agree, on {found['rows']} of "
            f"the {found['csv_rows']} rows of {found['csv']}; HM-F1 {found['hm_export']:.4f}, of "
            f"the checkpoint {found['hm_checkpoint']:.4f}"
        )
    else:
        console.print(
            "label agreement with the checkpoint: not measured (give --csv_path and --img_dir)"
        )
    megabytes = sum(path.stat().st_size for path in options.out.iterdir()) / 1e6
    console.print(f"{megabytes:.1f} MB: {options.out}")
    return 0


def _trial(options: Export) -> "Trial | None":
    if options.csv_path is None:
        return None
    from visual_taxonomy.checkpoint import read_checkpoint
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.inference.export.bundle_writer import Trial

    checkpoint = read_checkpoint(options.path, options.attributes_config)
    table = read_table(
        options.csv_path,
        options.img_dir,
        checkpoint.taxonomy,
        reading=options.labels,
        trained=checkpoint.columns,
    )
    return Trial(
        table,
        options.csv_path.name,
        options.calibration_rows,
        options.max_rows,
        options.min_agreement,
    )
