"""`vtax evaluate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from visual_taxonomy.commands.model_files import load_predictor, model_inputs
from visual_taxonomy.commands.outputs import check_output, is_report
from visual_taxonomy.commands.report import report_predictions
from visual_taxonomy.commands.terminal import (
    EXIT_UNREADABLE,
    console,
    errors,
    show_progress,
    terminal,
)
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.label_reading import LabelReading, UnknownLabels

if TYPE_CHECKING:
    import numpy as np

    from visual_taxonomy.data.table import Table
    from visual_taxonomy.inference.prediction import Predictor

SCORES_NAME = "scores.png"
GALLERY_NAME = "gallery.png"


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint or a bundle on labelled rows."""

    csv_path: Path
    """Labelled CSV (or Parquet), as for training.
    Empty cells mean unknown, and so do NA, N/A, NaN, None, null, ... (--missing_values)."""
    ckpt_path: Path
    """Checkpoint, or bundle from `vtax export`."""
    img_dir: Path | None = None
    """Folder of the images; None: they stand in a column of --csv_path (Parquet)."""
    attributes_config: Path | None = None
    """Expected taxonomy; only checkpoints of the original system need one."""
    out: Path | None = None
    """JSON file for the detailed metrics."""
    plots: Path | None = None
    """Folder for scores.png and gallery.png."""
    report: Path | None = None
    """HTML file for a page with scores, intervals, classes, confusions and images."""
    overwrite: bool = False
    """Replace existing plots, and a JSON or HTML file that is no report of vtax."""
    unknown_labels: UnknownLabels = "error"
    """What to do with labels that the model does not know.
    error: stop; wrong: count them as wrong; ignore: treat them as unknown."""
    labels: LabelReading = field(default_factory=LabelReading)
    inference: InferenceConfig = field(default_factory=InferenceConfig)


def evaluate(options: Evaluate) -> int:
    """Score a checkpoint or a bundle on labelled rows."""
    import json

    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.evaluation import evaluate as score
    from visual_taxonomy.evaluation import majority_report
    from visual_taxonomy.reporting.gallery import pick_images, plot_gallery
    from visual_taxonomy.reporting.scores import plot_scores, score_table

    _check_outputs(options)
    predictor = load_predictor(options.ckpt_path, options.attributes_config, options.inference)
    table = read_table(
        options.csv_path,
        options.img_dir,
        predictor.taxonomy,
        reading=options.labels,
        unknown_labels=options.unknown_labels,
        on_note=terminal.note,
        trained=predictor.columns,
    )
    predicted, problems, raw = _predict(predictor, table, options.report is not None)
    report = score(table.taxonomy, predicted, table.targets, table.categories)
    counts = predictor.class_counts  # a checkpoint of the original system has none
    baseline = (
        majority_report(table.taxonomy, counts, table.targets, table.categories) if counts else None
    )
    console.print(score_table(report, baseline))
    if options.out is not None:
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
        write_text(options.out, text)
    if options.plots is not None:
        plot_scores(report, baseline, options.plots / SCORES_NAME)
        plot_gallery(pick_images(predictor, table), options.plots / GALLERY_NAME)
    if options.report is not None:
        report_predictions(options.report, predictor, table, raw, options.ckpt_path)
    return _exit_status(len(problems), predictor)


def _exit_status(problems: int, predictor: "Predictor") -> int:
    """Of so many rows without an image, after a line that says what became of them."""
    from visual_taxonomy.witnesses.combination import answers_from_words

    if not problems:
        return 0
    fate = "count as missed"
    if answers_from_words(predictor.witnesses):
        fate += " where the row has no words to answer from"
    errors.print(f"{problems} images could not be read; their labels {fate}")
    return EXIT_UNREADABLE


def _predict(
    predictor: "Predictor", table: "Table", keeps: bool
) -> "tuple[np.ndarray, dict[int, str], list[np.ndarray]]":
    """Classes, rows without an image, and the raw probabilities if they are to be kept."""
    raw: list[np.ndarray] = []
    with show_progress(console, "predicting", len(table)) as advance:
        predicted, problems = predictor.predict_classes(
            table, advance, raw.append if keeps else None
        )
    return predicted, problems, raw


def _check_outputs(options: Evaluate) -> None:
    from visual_taxonomy.reporting.html.report import is_report as is_page

    inputs = [options.csv_path, options.attributes_config, *model_inputs(options.ckpt_path)]
    if options.out is not None:
        replaceable = options.overwrite or is_report(options.out, "hm", "categories")
        check_output("--out", options.out, inputs, replaceable)
    if options.report is not None:
        is_ours = options.overwrite or is_page(options.report)
        check_output("--report", options.report, inputs, is_ours)
    if options.plots is not None:
        for name in (SCORES_NAME, GALLERY_NAME):
            # An image of the catalogue may be called so.
            read = [*inputs, options.img_dir / name if options.img_dir else None]
            check_output("--plots", options.plots / name, read, options.overwrite)
