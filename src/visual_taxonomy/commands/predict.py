"""`vtax predict`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.commands.model_files import load_predictor, model_inputs
from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.predict_images import check_sources, predict_images
from visual_taxonomy.commands.terminal import (
    EXIT_UNREADABLE,
    console,
    errors,
    show_progress,
    terminal,
)
from visual_taxonomy.config import InferenceConfig, OutputFormat
from visual_taxonomy.data.label_reading import reading_of
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import is_bundle

if TYPE_CHECKING:
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.inference.output_forms import OutputForm
    from visual_taxonomy.inference.prediction import Predictor
    from visual_taxonomy.inference.prediction_file import Written


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Predict the attributes of the products of a CSV, or of images named on the line."""

    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Images, or folders of images: their answers are printed, and no table is needed."""
    img_dir: Path | None = None
    """Folder of the images; None: they stand in a column of --csv_path (Parquet)."""
    csv_path: Path | None = None
    """CSV, Parquet or JSON lines with id and Category, or columns of the same roles."""
    ckpt_path: Path
    """Checkpoint, bundle from `vtax export`, or a folder of checkpoints, one CSV for each."""
    category: str | None = None
    """Category of the images named on the line; needless for a model of one category."""
    json: bool = False
    """Print a line of JSON for each image named on the line."""
    attributes_config: Path | None = None
    """Expected taxonomy; only checkpoints of the original system need one."""
    out_csv_path: Path | None = None
    """CSV to write, or a folder for a folder of checkpoints; by default beside the checkpoint.
    Run the same command again to resume an interrupted prediction."""
    overwrite: bool = False
    """Replace an existing CSV.
    Without it, a finished CSV of the same command is kept; any other is an error."""
    columns: Literal["auto", "named", "competition"] = "auto"
    """Columns of the CSV.
    named: one per attribute (color, ...), empty where the category lacks the attribute.
    competition: len, attr_1 ... attr_10, filled up with dummy_value.
    auto: like the input CSV; if that has no such columns, like the training CSV."""
    probabilities: bool = False
    """Add columns with the probability of each label: calibrated, or raw with --decision argmax.
    named: color_prob, ...; competition: prob_1, ..."""
    format: OutputFormat = "csv"
    """csv: a line for each product. long-csv, parquet, jsonl: a record for each attribute of each
    product: id, category, attribute, label, probability, runner_up, runner_up_probability, status
    (answered, answered from words, unknown, no image); an unknown one has its best guess as
    label."""
    unknown: str = ""
    """Text in the CSV where --target_precision leaves an attribute open."""
    skip_missing: bool = False
    """Treat a missing image like an unreadable one instead of refusing to start."""
    roles: CatalogueConfig = field(default_factory=CatalogueConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def __post_init__(self) -> None:
        check_sources(self)
        if self.format != "csv" and (self.probabilities or self.columns != "auto" or self.unknown):
            raise InputError(
                f"--format {self.format} has probabilities, status and columns of its own; leave "
                "--probabilities, --columns and --unknown out"
            )
        if self.unknown and self.inference.target_precision is None:
            raise InputError(
                f"--unknown {self.unknown}: without --target_precision nothing is left open; "
                "give both"
            )


def predict(options: Predict) -> int:
    """Predict the attributes of the products of a CSV, or of images named on the line."""
    if options.images:
        return predict_images(options)
    pairs = outputs(options.ckpt_path, options.out_csv_path, suffix_of(options.format))
    _check_outputs(options, pairs)
    # Existing CSVs come first: whether they may stay is known before anything is written.
    pairs.sort(key=lambda pair: not pair[1].exists())
    return max(_predict(options, checkpoint, out) for checkpoint, out in pairs)


def _predict(options: Predict, checkpoint: Path, out: Path) -> int:
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.inference.prediction_file import finished, write_predictions

    predictor = load_predictor(checkpoint, options.attributes_config, options.inference)
    missing: Literal["keep", "error"] = "keep" if options.skip_missing else "error"
    assert options.csv_path is not None  # or `check_sources` had refused them
    table = read_table(
        options.csv_path,
        options.img_dir,
        predictor.taxonomy,
        False,
        missing_images=missing,
        reading=reading_of(options.roles),
        on_note=terminal.note,
        trained=predictor.columns,
    )
    form = _form(options, table, predictor)
    request = _request(options, checkpoint, table, form, predictor)
    if out.exists() and not options.overwrite:
        problems = finished(out, table, request)
        if problems is None:
            raise InputError(
                f"--out_csv_path {out}: already exists and answers another request (its model, "
                "CSV, images or options differ); name another file, or replace it with --overwrite"
            )
        console.print(f"{out}: already finished; use --overwrite to predict it again")
        return EXIT_UNREADABLE if problems else 0
    with show_progress(console, "predicting", len(table)) as advance:
        written = write_predictions(predictor, table, out, form, advance, request)
    return _report(written, len(table))


def _form(options: Predict, table: "Table", predictor: "Predictor") -> "OutputForm":
    """The form of the file.

    Raises:
        InputError: Two columns would have one name, or the text for unknown is a class.
    """
    from visual_taxonomy.inference.answer_columns import choose_columns
    from visual_taxonomy.inference.output_forms import LONG_FORMS, WideCsv

    if options.format != "csv":
        return LONG_FORMS[options.format]()
    taken = [task.name for task in table.taxonomy.tasks if options.unknown in task.classes]
    if taken:
        raise InputError(
            f"--unknown {options.unknown}: is a class of {taken[0]}; choose another text"
        )
    columns = choose_columns(table, options.columns, predictor.named_columns)
    return WideCsv(columns, options.probabilities, options.unknown)


def _request(
    options: Predict, checkpoint: Path, table: "Table", form: "OutputForm", predictor: "Predictor"
) -> str:
    from visual_taxonomy.inference.prediction_file import request_of

    engine, inference = predictor.engine, options.inference
    return request_of(
        checkpoint,
        table,
        options.format,
        form.start().decode(),
        options.unknown,
        engine.name,
        engine.precision,
        inference.decision,
        str(inference.target_precision),
        predictor.tta,
    )


def _report(written: "Written", rows: int) -> int:
    for category, count in written.rows.items():
        each = written.seconds[category] / count
        console.print(f"{category}: {count} rows, {each:.4f} seconds per image")
    return report_end(written, f"{rows} rows: {written.path}")


def report_end(written: "Written", what: str) -> int:
    """Say what came of an interrupted run, what was written, and which images could not be read.

    Returns:
        The exit status.
    """
    if written.resumed:
        console.print(f"{written.resumed} rows were predicted by an earlier, interrupted run")
    if written.dropped:
        console.print(
            f"{written.dropped} rows of an interrupted run were predicted again: {written.reason}"
        )
    console.print(what)
    if written.problems:
        errors.print(f"{len(written.problems)} images could not be read: {written.errors_path}")
        return EXIT_UNREADABLE
    return 0


def _check_outputs(options: Predict, pairs: list[tuple[Path, Path]]) -> None:
    """Refuse outputs that are inputs, before the first of them is written."""
    from visual_taxonomy.data.images import IMAGE_SUFFIXES
    from visual_taxonomy.inference.prediction_file import companions
    from visual_taxonomy.inference.receipt import receipt_path

    inputs = [options.csv_path, options.attributes_config]
    for checkpoint, _ in pairs:
        inputs += model_inputs(checkpoint)
    for _, out in pairs:
        is_image = out.suffix.lower() in IMAGE_SUFFIXES
        images = [options.img_dir / out.name] if is_image and options.img_dir else []
        # Whether the receipt is that of this request is known once the model is loaded.
        replaceable = options.overwrite or receipt_path(out).exists()
        check_output("--out_csv_path", out, [*inputs, *images], replaceable)
        for path in companions(out):
            # They go with the CSV and are replaced with it; only inputs are protected.
            check_output("--out_csv_path", path, inputs, overwrite=True)


def suffix_of(form: OutputFormat) -> str:
    """Of the file that is written where none is named."""
    return ".long.csv" if form == "long-csv" else f".{form}"


def outputs(checkpoint: Path, out: Path | None, suffix: str = ".csv") -> list[tuple[Path, Path]]:
    """Checkpoints or a bundle, each with the file to write."""
    if is_bundle(checkpoint):
        return [(checkpoint, out or checkpoint.with_name(f"{checkpoint.name}{suffix}"))]
    if not checkpoint.is_dir():
        return [(checkpoint, out or checkpoint.with_suffix(suffix))]
    # last.pt is for resuming; a name with a dot in front is what a killed training left.
    found = sorted(path for path in checkpoint.glob("[!.]*.pt") if path.name != "last.pt")
    if not found:
        raise InputError(f"{checkpoint}: no checkpoint (*.pt) in this folder")
    if out is not None and out.suffix and not out.is_dir():
        raise InputError(f"--out_csv_path {out}: several checkpoints need a folder, not a file")
    return [(path, (out or checkpoint) / f"{path.stem}{suffix}") for path in found]
