"""`vtax report`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from visual_taxonomy.commands.model_files import load_predictor, model_inputs
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.terminal import console, show_progress, terminal
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from visual_taxonomy.data.images import ImageSource
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.inference.prediction import Predictor

_OWN_NAME = "report.html"


@dataclass(frozen=True)
class MakeReport:
    """Write one HTML page on how good a model is."""

    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN_FOLDER")] = None
    """Folder of a run; its held-out rows are reported on."""
    ckpt_path: Path | None = None
    """Without a run folder: checkpoint, or bundle of `vtax export`."""
    csv_path: Path | None = None
    """With --ckpt_path: labelled CSV (or Parquet) of rows that the model was not trained on."""
    img_dir: Path | None = None
    """Folder of the images; of a run: where they are now, if they have moved."""
    attributes_config: Path | None = None
    """With --ckpt_path: taxonomy; a checkpoint of the original system needs it."""
    audit: Path | None = None
    """Folder of `vtax audit`, whose lists are shown as well; None: `audit` in the run folder."""
    baselines: Path | None = None
    """Run folder of `vtax probe` on the same rows; None: the newest of them beside the run."""
    out: Path | None = None
    """HTML file; None: report.html in the run folder, or here with --ckpt_path."""
    overwrite: bool = False
    """Replace an existing file that is no report of this command."""
    unknown_labels: Literal["error", "ignore"] = "error"
    """With --ckpt_path: labels that the model does not know: an error, or taken for unknown."""
    labels: LabelReading = field(default_factory=LabelReading)
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def __post_init__(self) -> None:
        if (self.run is None) == (self.ckpt_path is None):
            raise InputError("vtax report: name a run folder, or --ckpt_path with --csv_path")
        if self.ckpt_path is not None and self.csv_path is None:
            raise InputError(f"--ckpt_path {self.ckpt_path}: give --csv_path too, the rows")
        if self.ckpt_path is not None and self.baselines is not None:
            raise InputError(
                f"--baselines {self.baselines}: a probe is held against a run with the same rows; "
                "name the run folder in place of --ckpt_path"
            )
        if self.run is not None and self.csv_path is not None:
            raise InputError(
                f"--csv_path {self.csv_path}: a run folder has its own held-out rows; for others "
                f"name its checkpoint: --ckpt_path {self.run / 'best_score.pt'}"
            )


def report(options: MakeReport) -> int:
    """Write one HTML page on how good a model is."""
    out = options.out or (options.run or Path()) / _OWN_NAME
    _check_output(out, options)
    if options.run is not None:
        _report_run(options.run, out, options)
    elif options.ckpt_path and options.csv_path:
        _report_checkpoint(options.ckpt_path, options.csv_path, options.img_dir, out, options)
    return 0


def report_at_end(folder: Path) -> None:
    """The report of a run that has just ended; a note where there cannot be one."""
    from visual_taxonomy.reporting.html.run_record import record_environment

    try:
        record_environment(folder)
    except InputError as error:
        terminal.note(f"no report: {error}")
    else:
        renew_report(folder)


def renew_report(folder: Path) -> None:
    """The report of a run folder, written anew; a note where there cannot be one."""
    from visual_taxonomy.reporting.html.report import report_run

    try:
        terminal.note(f"report: {report_run(folder)}")
    except InputError as error:
        terminal.note(f"no report: {error}")


def report_predictions(
    path: Path,
    predictor: "Predictor",
    table: "Table",
    raw: "Sequence[np.ndarray]",
    checkpoint: Path,
    audit: Path | None = None,
) -> None:
    """Write the report on the predictions of a table.

    Args:
        path: The HTML file.
        predictor: The model.
        table: The rows, with the taxonomy of the model or one that has more classes.
        raw: [n, A, C] float32 probabilities of each batch before any decision.
        checkpoint: Of the model; its run says which rows it was trained on.
        audit: Folder of `vtax audit`.

    Raises:
        InputError: No row has a label, or the disk is full.
    """
    import numpy as np

    from visual_taxonomy.data.duplicates import group_rows
    from visual_taxonomy.decision.judged import judge, was_fitted_on
    from visual_taxonomy.inference.held_out_rows import as_held_out
    from visual_taxonomy.reporting.html.context import Context
    from visual_taxonomy.reporting.html.report import write_report

    source = f"{len(table):,} rows of a file"
    trained = _trained_rows(checkpoint, table.ids.tolist())
    if trained:
        source += f", of which {trained:,} were trained on: their scores are too good"
        terminal.note(f"{path}: {source}")
    with terminal.progress("comparing images", len(table)) as advance:
        groups = group_rows(table, on_progress=advance)
    held_out = as_held_out(predictor, table, np.concatenate(raw), groups)
    decision, fitted = predictor.decision, None
    # On the rows it was fitted on a decision looks better than it is: there it is cross-fitted.
    if decision is not None and not was_fitted_on(decision, held_out):
        fitted = judge(decision, held_out)
    context = Context(held_out, None, _image_finder(table), audit, source, predictor.rule, fitted)
    write_report(context, path, checkpoint.name)
    console.print(f"report: {path}")


def _image_finder(table: "Table") -> "Callable[[str], ImageSource | None]":
    row_of = {product: row for row, product in enumerate(table.ids.tolist())}
    return lambda product: table.image(row_of[product]) if product in row_of else None


def _check_output(out: Path, options: MakeReport) -> None:
    from visual_taxonomy.reporting.html.report import is_report

    inputs: list[Path | None] = [options.csv_path, options.attributes_config]
    if options.ckpt_path is not None:
        inputs += model_inputs(options.ckpt_path)
    if options.run is not None and options.run.is_dir():
        inputs += [each for each in options.run.iterdir() if each.suffix != ".html"]
    check_output("--out", out, inputs, options.overwrite or is_report(out))


def _report_run(run: Path, out: Path, options: MakeReport) -> None:
    from visual_taxonomy.reporting.html.report import context_of_run, write_report

    write_report(context_of_run(run, options.img_dir, options.audit, options.baselines), out)
    console.print(f"report: {out}")


def _report_checkpoint(
    checkpoint: Path, csv_path: Path, img_dir: Path | None, out: Path, options: MakeReport
) -> None:
    from visual_taxonomy.data.table import read_table

    predictor = load_predictor(checkpoint, options.attributes_config, options.inference)
    table = read_table(
        csv_path,
        img_dir,
        predictor.taxonomy,
        reading=options.labels,
        unknown_labels=options.unknown_labels,
        on_note=terminal.note,
        trained=predictor.columns,
    )
    raw: list[np.ndarray] = []
    with show_progress(console, "predicting", len(table)) as advance:
        predictor.predict_classes(table, advance, raw.append)
    report_predictions(out, predictor, table, raw, checkpoint, options.audit)


def _trained_rows(checkpoint: Path, ids: Iterable[str]) -> int:
    """How many of the ids the run of this checkpoint was trained on, if it lies in its folder."""
    from visual_taxonomy.data.label_file import LabelFile
    from visual_taxonomy.training.run_folder import SPLIT_NAME

    path = checkpoint.parent / SPLIT_NAME
    if not path.exists():
        return 0
    file = LabelFile(path, LabelReading(missing_values=()))  # an id may be called NA
    split = dict(zip(file.column("id"), file.column("split"), strict=True))
    return sum(split.get(each) == "train" for each in ids)
