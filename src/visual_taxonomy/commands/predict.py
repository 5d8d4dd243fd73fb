"""`vtax predict`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from visual_taxonomy.commands.model_files import load_predictor
from visual_taxonomy.commands.terminal import EXIT_UNREADABLE, console, errors, show_progress
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import is_bundle


@dataclass(frozen=True)
class Predict:
    """Predict the attributes of the products of a CSV."""

    img_dir: Path
    """Folder of the pictures."""
    csv_path: Path
    """CSV (or Parquet) with id and Category."""
    ckpt_path: Path
    """Checkpoint, bundle of `vtax export`, or a folder of checkpoints: one CSV each."""
    attributes_config: Path | None = None
    """Taxonomy to check against that of the checkpoint."""
    out_csv_path: Path | None = None
    """CSV to write; beside the checkpoint, under its name, when left out. A folder for a folder.
    A killed run is gone on with when it is started again."""
    probabilities: bool = False
    """Add columns prob_1 ... with the probability of each label."""
    skip_missing: bool = False
    """Treat a missing picture like an unreadable one instead of refusing to start."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)


def predict(options: Predict) -> int:
    """Predict the attributes of the products of a CSV."""
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.inference.prediction_file import request_of, write_predictions

    status = 0
    for checkpoint, out in outputs(options.ckpt_path, options.out_csv_path):
        predictor = load_predictor(checkpoint, options.attributes_config, options.inference)
        missing: Literal["keep", "error"] = "keep" if options.skip_missing else "error"
        table = read_table(
            options.csv_path, options.img_dir, predictor.taxonomy, False, missing_images=missing
        )
        settings = (predictor.engine.name, predictor.engine.precision)
        request = request_of(checkpoint, table, options.probabilities, *settings)
        with show_progress(console, "predicting", len(table)) as advance:
            written = write_predictions(
                predictor, table, out, options.probabilities, advance, request
            )
        for category, rows in written.rows.items():
            each = written.seconds[category] / rows
            console.print(f"{category}: {rows} rows, {each:.4f} seconds per image")
        if written.resumed:
            console.print(f"{written.resumed} rows were there from a run that was broken off")
        console.print(f"{len(table)} rows: {out}")
        if written.problems:
            errors.print(
                f"{len(written.problems)} pictures could not be read: {written.errors_path}"
            )
            status = EXIT_UNREADABLE
    return status


def outputs(checkpoint: Path, out: Path | None) -> list[tuple[Path, Path]]:
    """Checkpoints or a bundle, each with the CSV to write."""
    if is_bundle(checkpoint):
        return [(checkpoint, out or checkpoint.with_name(f"{checkpoint.name}.csv"))]
    if not checkpoint.is_dir():
        return [(checkpoint, out or checkpoint.with_suffix(".csv"))]
    found = sorted(path for path in checkpoint.glob("*.pt") if path.name != "last.pt")
    if not found:
        raise InputError(f"{checkpoint}: no checkpoint (*.pt) in this folder")
    if out is not None and out.suffix:
        raise InputError(f"--out_csv_path {out}: several checkpoints need a folder, not a file")
    return [(path, (out or checkpoint) / f"{path.stem}.csv") for path in found]
