"""`vtax soup`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.terminal import console, errors, show_progress, terminal
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from visual_taxonomy.checkpoint import Checkpoint
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.inference.soup import Greedy, Subset


@dataclass(frozen=True)
class Soup:
    """Average the weights of checkpoints of one model into one checkpoint."""

    checkpoints: tyro.conf.Positional[tuple[Path, ...]]
    """Checkpoints of the same backbone, heads and taxonomy that started from the same weights:
    of one run, or of runs with the same --random_state."""
    out: Path
    """Checkpoint to write. It has no decision: fit one with `vtax calibrate`."""
    csv_path: Path | None = None
    """Labelled CSV (or Parquet) for a greedy soup: a checkpoint is left out if it lowers HM-F1 on
    these rows, which no checkpoint should have been trained on."""
    img_dir: Path | None = None
    """Folder of their images; None: they stand in a column of --csv_path (Parquet)."""
    interpolate: float = 1.0
    """Share of the trained backbone; the weights that it started from have the rest."""
    folds: int = 5
    """Parts of the rows: each is scored by the soup that the others choose."""
    overwrite: bool = False
    """Replace --out."""
    labels: LabelReading = field(default_factory=LabelReading)
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def __post_init__(self) -> None:
        if self.csv_path is None and self.img_dir is not None:
            raise InputError("--img_dir without --csv_path; give both or none")
        if not 0 <= self.interpolate <= 1:
            raise InputError(f"--interpolate must lie in [0, 1], not {self.interpolate}")
        if len(self.checkpoints) < 2 and (self.interpolate == 1 or self.csv_path is not None):
            raise InputError("give two or more checkpoints, or one and --interpolate")
        if self.folds < 2:
            raise InputError(f"--folds must be 2 or more, not {self.folds}")


def soup(options: Soup) -> int:
    """Average the weights of checkpoints of one model into one checkpoint."""
    from visual_taxonomy.checkpoint import read_model, write_checkpoint
    from visual_taxonomy.inference.soup import averaged, interpolated

    inputs = [*options.checkpoints, options.csv_path]
    check_output("--out", options.out, inputs, options.overwrite)
    parts = [read_model(path) for path in options.checkpoints]
    whole = averaged(parts)  # the check of them all, before the first image is read
    start = {} if options.interpolate == 1 else _start_weights(whole)

    def mean_of(chosen: "Subset") -> "Checkpoint":
        mean = averaged([parts[each] for each in chosen])
        return interpolated(mean, start, options.interpolate)

    chosen = tuple(range(len(parts)))
    if options.csv_path is not None:
        found = _greedy(options, whole, mean_of)
        _show(options, found)
        chosen = found.chosen
    mean = mean_of(chosen)
    write_checkpoint(options.out, mean)
    console.print(
        f"mean of {len(chosen)} of {len(parts)} checkpoints, without a decision; fit one with "
        f"`vtax calibrate`: {options.out}"
    )
    if mean.witnesses is not None and mean.witnesses.words is not None:
        console.print("until then it answers from images alone, without words")
    return 0


def _start_weights(checkpoint: "Checkpoint") -> "dict[str, Tensor]":
    """The weights that the backbone was loaded with before its training."""
    from visual_taxonomy.model.classifier import build_classifier
    from visual_taxonomy.training.setup import load_weights

    model = build_classifier(checkpoint.taxonomy, checkpoint.model)
    if not load_weights(model, checkpoint.model):
        raise InputError(
            f"--interpolate: {checkpoint.source} was trained from random weights, which there is "
            "nothing to gain from; leave it out"
        )
    weights = model.state_dict().items()
    return {name: value for name, value in weights if name.startswith("encoder.")}


def _greedy(
    options: Soup, whole: "Checkpoint", mean_of: "Callable[[Subset], Checkpoint]"
) -> "Greedy":
    from visual_taxonomy.data.duplicates import group_rows
    from visual_taxonomy.inference.prediction import Predictor
    from visual_taxonomy.inference.soup import greedy_soup

    table = _rows(options, whole)
    settings = replace(options.inference, decision="argmax", target_precision=None)
    # Words would answer alike for all of them.
    images = replace(table, texts=None)

    def classes_of(chosen: "Subset") -> "np.ndarray":
        predictor = Predictor(mean_of(chosen), settings)
        numbers = ", ".join(str(each + 1) for each in chosen)
        with show_progress(console, f"predicting with {numbers}", len(table)) as advance:
            return predictor.predict_classes(images, advance)[0]

    groups = group_rows(table, options.inference.workers)
    return greedy_soup(classes_of, len(options.checkpoints), table, groups, options.folds)


def _rows(options: Soup, whole: "Checkpoint") -> "Table":
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.inference.recalibration import trained_on

    assert options.csv_path is not None
    table = read_table(
        options.csv_path,
        options.img_dir,
        whole.taxonomy,
        reading=options.labels,
        on_note=terminal.note,
        trained=whole.columns,
    )
    for path in options.checkpoints:
        if count := trained_on(path, table.ids):
            errors.print(
                f"warning: {path} was trained on {count} of these {len(table)} rows, so it seems "
                "better than it is; take rows that no checkpoint has seen"
            )
    return table


def _show(options: Soup, found: "Greedy") -> None:
    for number, (path, score) in enumerate(zip(options.checkpoints, found.scores, strict=True)):
        sign = "+" if number in found.chosen else "-"
        console.print(f"{sign} {number + 1} {path}: HM-F1 {score:.4f} alone")
    console.print(
        f"greedy soup: HM-F1 {found.score:.4f} on the rows that chose it, {found.cross_fitted:.4f} "
        "cross-fitted: each row by a soup that others chose"
    )
