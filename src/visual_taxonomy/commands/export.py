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
    """Write a checkpoint as a folder that runs anywhere with the same answers."""

    out: Path
    """Folder to make."""
    checkpoint: tyro.conf.Positional[Path | None] = None
    """Checkpoint."""
    ckpt_path: Path | None = None
    """The checkpoint, under the name of the flag in predict and evaluate."""
    attributes_config: Path | None = None
    """Taxonomy to check against that of the checkpoint; one of the original system needs it."""
    to: Literal["bundle", "onnx", "openvino"] = "bundle"
    """bundle: weights for torch and an ONNX graph; onnx: the graph; openvino: its own form."""
    int8: bool = False
    """Multiply in 8 bits in the graph, calibrated on the images of the CSV."""
    csv_path: Path | None = None
    """Labelled CSV (or Parquet) to compare checkpoint and export on."""
    img_dir: Path | None = None
    """Folder of its images."""
    min_agreement: float | None = None
    """Least share of equal labels; None: 0.999, with --int8 0.99."""
    max_rows: int = 2000
    """Most rows of the CSV to compare on; if it has more, they are drawn at random."""
    calibration_rows: int = 256
    """Most rows to calibrate --int8 with, at most half the CSV; they are not compared on."""
    workers: int = 2
    """Processes or threads that load its images, no more than there are cores."""
    labels: LabelReading = field(default_factory=LabelReading)

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.ckpt_path is None):
            raise InputError("give one checkpoint: `vtax export FILE`, or --ckpt_path FILE")
        if (self.csv_path is None) != (self.img_dir is None):
            raise InputError("--csv_path and --img_dir belong together; give both or none")
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise InputError(f"--min_agreement must lie in [0, 1], not {self.min_agreement}")
        least = {"max_rows": 1, "calibration_rows": 1, "workers": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise InputError(f"--{name} must be {value} or more, not {getattr(self, name)}")

    @property
    def path(self) -> Path:
        """The checkpoint, whichever way it was given."""
        path = self.checkpoint or self.ckpt_path
        assert path is not None
        return path


def export(options: Export) -> int:
    """Write a checkpoint as a folder that runs anywhere with the same answers."""
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
        console.print("agreement with the checkpoint: not measured (give --csv_path, --img_dir)")
    megabytes = sum(path.stat().st_size for path in options.out.iterdir()) / 1e6
    console.print(f"{megabytes:.1f} MB: {options.out}")
    return 0


def _trial(options: Export) -> "Trial | None":
    if options.csv_path is None or options.img_dir is None:
        return None
    from visual_taxonomy.checkpoint import read_checkpoint
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.inference.export.bundle_writer import Trial

    taxonomy = read_checkpoint(options.path, options.attributes_config).taxonomy
    table = read_table(options.csv_path, options.img_dir, taxonomy, reading=options.labels)
    return Trial(
        table,
        options.csv_path.name,
        options.calibration_rows,
        options.max_rows,
        options.min_agreement,
    )
