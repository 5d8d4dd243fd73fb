"""`vtax fill`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from visual_taxonomy.commands.model_files import load_predictor, model_inputs
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.predict import report_end
from visual_taxonomy.commands.terminal import (
    EXIT_UNREADABLE,
    console,
    errors,
    show_progress,
    terminal,
)
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from visual_taxonomy.inference.filling import Filling
    from visual_taxonomy.inference.prediction import Predictor
    from visual_taxonomy.inference.prediction_file import Written

_TRIED = (0.9, 0.95, 0.99)
"""Target precisions that a dry run counts at."""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """Fill the empty cells of a catalogue."""

    csv: tyro.conf.Positional[Path | None] = None
    """CSV, Parquet or JSON lines with empty cells."""
    csv_path: Path | None = None
    """The same as a flag, as in train and predict."""
    img_dir: Path | None = None
    """Folder of the images; None: they stand in a column of the file (Parquet)."""
    ckpt_path: Path
    """Checkpoint, or bundle from `vtax export`."""
    attributes_config: Path | None = None
    """Expected taxonomy; only checkpoints of the original system need one."""
    out_csv_path: Path | None = None
    """The filled copy, of the same kind of file: columns, rows, quotes and line ends stay.
    Beside it OUT.cells.csv says of each empty cell what was answered and how sure.
    Run the same command again to resume an interrupted one."""
    only: tuple[str, ...] = ()
    """Attributes to fill; by default all."""
    dry_run: bool = False
    """Write nothing; print how many cells would be filled at some target precisions."""
    overwrite: bool = False
    """Replace existing files.
    Without it, finished files of the same command are kept; any others are an error."""
    fill_markers: bool = False
    """Fill cells that hold a marker of a missing value, such as NA (--missing_values), too."""
    unknown_labels: Literal["ignore", "error"] = "ignore"
    """What to do with labels that the model does not know. ignore: they stay; error: stop."""
    skip_missing: bool = False
    """Treat a missing image like an unreadable one instead of refusing to start."""
    labels: LabelReading = field(default_factory=LabelReading)
    inference: InferenceConfig = field(
        default_factory=lambda: InferenceConfig(target_precision=0.95)
    )

    @property
    def path(self) -> Path:
        """The catalogue, from either argument."""
        path = self.csv or self.csv_path
        assert path is not None  # or the options were refused
        return path

    def __post_init__(self) -> None:
        if (self.csv is None) == (self.csv_path is None):
            raise InputError("give one catalogue: `vtax fill FILE`, or --csv_path FILE")
        if self.out_csv_path is None and not self.dry_run:
            raise InputError(
                "`out_csv_path` names the filled copy; without it there is only `dry_run`"
            )
        if self.dry_run and self.inference.decision == "argmax":
            raise InputError(
                "`dry_run` counts calibrated probabilities; leave `decision=argmax` out"
            )


def fill(options: Fill) -> int:
    """Fill the empty cells of a catalogue where the model is sure enough; all else stays."""
    if options.out_csv_path is not None:
        _check_outputs(options, options.out_csv_path)
    predictor = load_predictor(options.ckpt_path, options.attributes_config, options.inference)
    filling = _filling(options, predictor)
    if options.dry_run:
        return _try(filling, predictor)
    assert options.out_csv_path is not None  # or the options were refused
    return _fill(options, filling, predictor, options.out_csv_path)


def _filling(options: Fill, predictor: "Predictor") -> "Filling":
    """The file and its holes."""
    from visual_taxonomy.data.catalogue import settle_roles
    from visual_taxonomy.data.cell_files.opening import open_cells
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.inference.filling import Filling
    from visual_taxonomy.inference.holes import find_holes

    labels, path = options.labels, options.path
    table = read_table(
        path,
        options.img_dir,
        predictor.taxonomy,
        missing_images="keep" if options.skip_missing else "error",
        reading=labels,
        unknown_labels=options.unknown_labels,
        on_note=terminal.note,
        trained=predictor.columns,
        absent_columns="ignore",
    )
    file = open_cells(path, labels.csv_encoding or "utf-8")
    id_column = settle_roles(path, file.names, labels, predictor.columns).id_column
    markers = labels.missing_values
    holes = find_holes(
        file, id_column, table, options.only, markers, options.fill_markers, terminal.note
    )
    return Filling(file, id_column, table, holes)


def _try(filling: "Filling", predictor: "Predictor") -> int:
    """The dry run."""
    from visual_taxonomy.inference.fill_preview import would_fill
    from visual_taxonomy.inference.prediction import NO_DECISION

    if predictor.decision is None:
        raise InputError(f"`dry_run`: {NO_DECISION}")
    with show_progress(console, "predicting", len(filling.rows)) as advance:
        found, unreadable = would_fill(predictor, filling, _TRIED, advance)
    columns = {f"at {target}": filling.attribute_counts(found[target]) for target in _TRIED}
    console.print(_grid(filling.attribute_counts(filling.holes.is_hole), columns))
    if unreadable:
        errors.print(f"{unreadable} images could not be read")
        return EXIT_UNREADABLE
    return 0


def _fill(options: Fill, filling: "Filling", predictor: "Predictor", out: Path) -> int:
    from visual_taxonomy.inference.cell_list import cells_path, fill_file, filled_before
    from visual_taxonomy.inference.receipt import read_receipt

    engine, inference = predictor.engine, options.inference
    settings = (inference.decision, str(inference.target_precision), predictor.tta)
    request = filling.request(options.ckpt_path, engine.name, engine.precision, *settings)
    if not options.overwrite and (out.exists() or cells_path(out).exists()):
        problems = filled_before(out, filling.rows, request)
        if problems is not None:
            console.print(f"{out}: already finished; use --overwrite to fill it again")
            return EXIT_UNREADABLE if problems else 0
        # Killed between the names of the two files: the copy is ours, and the list has none yet.
        is_half = read_receipt(out, request) is not None and not cells_path(out).exists()
        if not is_half:
            raise InputError(
                f"--out_csv_path {out}: it or {cells_path(out).name} already exists and answers "
                "another request (its model, CSV, images or options differ); name another file, "
                "or replace it with --overwrite"
            )
    with show_progress(console, "filling", len(filling.rows)) as advance:
        written = fill_file(predictor, filling, out, request, advance)
    return _report(written, filling, out, inference.target_precision)


def _report(written: "Written", filling: "Filling", out: Path, target: float | None) -> int:
    holes = filling.attribute_counts(filling.holes.is_hole)
    console.print(_grid(holes, {"filled": filling.counts}))
    filled, empty = sum(filling.counts.values()), sum(holes.values())
    if empty and not filled and target is not None:
        console.print(
            f"no answer is sure enough for --target_precision {target}: try a lower one, train "
            "longer, or label more; the report of the model says what its held-out rows allow"
        )
    what = f"{filled:,} of {empty:,} empty cells filled: {out}; each cell: {written.path}"
    return report_end(written, what)


def _grid(holes: dict[str, int], columns: dict[str, dict[str, int]]) -> "Grid":
    """A row for each attribute with an empty cell, and one for all."""
    from rich.table import Table as Grid

    grid = Grid("attribute", box=None)
    every = {"empty cells": holes, **columns}
    for name in every:
        grid.add_column(name, justify="right")
    for attribute in [name for name in holes if holes[name]]:
        grid.add_row(attribute, *(f"{each.get(attribute, 0):,}" for each in every.values()))
    grid.add_row("all", *(f"{sum(each.values()):,}" for each in every.values()))
    return grid


def _check_outputs(options: Fill, out: Path) -> None:
    """Refuse outputs that are inputs, or of another kind of file, before anything is written."""
    from visual_taxonomy.data.images import IMAGE_SUFFIXES
    from visual_taxonomy.data.named_columns import is_json_lines, is_parquet
    from visual_taxonomy.inference.cell_list import cells_path
    from visual_taxonomy.inference.prediction_file import companions
    from visual_taxonomy.inference.receipt import receipt_path

    for is_kind in (is_parquet, is_json_lines):
        if is_kind(out) != is_kind(options.path):
            raise InputError(
                f"--out_csv_path {out}: the copy is the same kind of file as {options.path}; "
                f"name it with {options.path.suffix or 'no suffix'}"
            )
    cells = cells_path(out)
    inputs = [options.path, options.attributes_config, *model_inputs(options.ckpt_path)]
    is_image = out.suffix.lower() in IMAGE_SUFFIXES
    images = [options.img_dir / out.name] if is_image and options.img_dir else []
    # Whether the receipt is that of this request is known once the model is loaded.
    replaceable = options.overwrite or receipt_path(out).exists()
    check_output("--out_csv_path", out, [*inputs, *images], replaceable)
    for path in (cells, receipt_path(out), *companions(cells)):
        # They go with the copy and are replaced with it; only inputs are protected.
        check_output("--out_csv_path", path, inputs, overwrite=True)
