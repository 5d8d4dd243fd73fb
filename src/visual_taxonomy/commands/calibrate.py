"""`vtax calibrate`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from visual_taxonomy.commands.model_files import load_predictor, model_inputs
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.terminal import console, errors, show_progress, terminal
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import is_bundle

if TYPE_CHECKING:
    from visual_taxonomy.decision.held_out import HeldOut
    from visual_taxonomy.inference.prediction import Predictor


@dataclass(frozen=True)
class Calibrate:
    """Fit the decision of a checkpoint or a bundle anew: calibration, rule, thresholds."""

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint, or bundle of `vtax export`."""
    csv_path: Path | None = None
    """Labelled CSV (or Parquet) with rows that the model was not trained on."""
    img_dir: Path | None = None
    """Folder of their images; None: they stand in a column of --csv_path (Parquet)."""
    held_out: Path | None = None
    """held_out.npz of a run, in place of --csv_path: its predictions of the validation rows."""
    out: Path | None = None
    """Checkpoint (or bundle folder) to write."""
    overwrite: bool = False
    """Replace --out, or without --out the given checkpoint or bundle."""
    attributes_config: Path | None = None
    """Taxonomy to check against that of the checkpoint; one of the original system needs it."""
    folds: int = 5
    """Parts of the rows: each is judged by a fit on the others."""
    labels: LabelReading = field(default_factory=LabelReading)
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def __post_init__(self) -> None:
        if (self.csv_path is None) == (self.held_out is None):
            raise InputError("give the rows to fit on: --csv_path and --img_dir, or --held_out")
        if self.csv_path is None and self.img_dir is not None:
            raise InputError("--img_dir without --csv_path; give both or none")
        if self.inference.decision != "metric":
            raise InputError("--decision argmax: `vtax calibrate` fits the other; leave it out")
        if self.folds < 2:
            raise InputError(f"--folds must be 2 or more, not {self.folds}")
        if self.out is None and not self.overwrite:
            raise InputError(
                f"name a file to write with --out, or replace {self.checkpoint} with --overwrite"
            )


def calibrate(options: Calibrate) -> int:
    """Fit the decision of a checkpoint or a bundle anew: calibration, rule, thresholds."""
    from visual_taxonomy.commands.decision_text import (
        decision_table,
        gain_line,
        precision_lines,
        words_lines,
    )
    from visual_taxonomy.decision.cross_fitted import cross_fitted
    from visual_taxonomy.inference.recalibration import write_decision
    from visual_taxonomy.witnesses.combination import NAMES, WORDS

    target = options.out or options.checkpoint
    _check_output(options, target)
    rows = options.csv_path or options.held_out
    assert rows is not None
    # A decision is fitted on raw probabilities, not on those that an earlier one has calibrated.
    raw = replace(options.inference, decision="argmax", target_precision=None)
    predictor = load_predictor(options.checkpoint, options.attributes_config, raw)
    held_out = _held_out(options, predictor)
    found = cross_fitted(
        held_out,
        options.folds,
        target_precision=options.inference.target_precision,
        source=rows.name,
    )
    figures = found.to_dict()
    write_decision(options.checkpoint, target, found, options.attributes_config, held_out)
    console.print(decision_table(figures))
    for line in (gain_line(figures), *precision_lines(figures)):
        console.print(line)
    for line in words_lines(held_out) if NAMES[WORDS] in held_out.witnesses else ():
        console.print(line)
    console.print(f"fitted on {len(held_out)} rows of {rows.name}: {target}")
    return 0


def _check_output(options: Calibrate, target: Path) -> None:
    if options.out is None:
        return
    inputs = [options.csv_path, options.held_out, options.attributes_config]
    if is_bundle(options.checkpoint):
        if target.exists():
            raise InputError(f"--out {target}: exists already; name another folder, or remove it")
        return
    check_output("--out", target, [*inputs, *model_inputs(options.checkpoint)], options.overwrite)


def _held_out(options: Calibrate, predictor: "Predictor") -> "HeldOut":
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.decision.held_out import HeldOut
    from visual_taxonomy.inference.recalibration import held_out_rows, trained_on

    if options.held_out is not None:
        found = HeldOut.read(options.held_out)
        if found.taxonomy != predictor.taxonomy:
            raise InputError(f"{options.held_out}: of another taxonomy than {options.checkpoint}")
        return found
    assert options.csv_path is not None
    table = read_table(
        options.csv_path,
        options.img_dir,
        predictor.taxonomy,
        reading=options.labels,
        on_note=terminal.note,
        trained=predictor.columns,
    )
    count = trained_on(options.checkpoint, table.ids)
    if count:
        errors.print(
            f"warning: the model was trained on {count} of these {len(table)} rows, so it seems "
            "better and surer than it is; take rows that it has not seen"
        )
    with show_progress(console, "predicting", len(table)) as advance:
        return held_out_rows(predictor, table, options.inference.workers, advance)
