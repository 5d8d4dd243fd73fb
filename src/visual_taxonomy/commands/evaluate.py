"""`vtax evaluate`."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from visual_taxonomy.commands.model_files import load_predictor
from visual_taxonomy.commands.terminal import EXIT_UNREADABLE, console, errors
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.label_reading import LabelReading, UnknownLabels
from visual_taxonomy.progress import show_progress


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint or a bundle on labelled rows."""

    img_dir: Path
    """Folder of the pictures."""
    csv_path: Path
    """Labelled CSV (or Parquet), as for training; empty = unknown, and so are NA, N/A, NaN, None,
    null, ... (--missing_values)."""
    ckpt_path: Path
    """Checkpoint, or bundle of `vtax export`."""
    attributes_config: Path | None = None
    """Taxonomy to check against that of the checkpoint."""
    out: Path | None = None
    """JSON file for the detailed metrics."""
    plots: Path | None = None
    """Folder for scores.png and gallery.png."""
    unknown_labels: UnknownLabels = "error"
    """Labels that the model does not know: an error, counted as wrong, or taken for unknown."""
    labels: LabelReading = field(default_factory=LabelReading)
    inference: InferenceConfig = field(default_factory=InferenceConfig)


def evaluate(options: Evaluate) -> int:
    """Score a checkpoint or a bundle on labelled rows."""
    import json

    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.evaluation import evaluate as score
    from visual_taxonomy.evaluation import majority_report
    from visual_taxonomy.reporting.gallery import pick_pictures, plot_gallery
    from visual_taxonomy.reporting.scores import plot_scores, score_table

    predictor = load_predictor(options.ckpt_path, options.attributes_config, options.inference)
    table = read_table(
        options.csv_path,
        options.img_dir,
        predictor.taxonomy,
        reading=options.labels,
        unknown_labels=options.unknown_labels,
        on_note=partial(console.print, markup=False),
    )
    with show_progress(console, "predicting", len(table)) as advance:
        predicted, problems = predictor.predict_classes(table, advance)
    report = score(table.taxonomy, predicted, table.targets, table.categories)
    baseline = majority_report(
        table.taxonomy, predictor.class_counts, table.targets, table.categories
    )
    console.print(score_table(report, baseline))
    if options.out is not None:
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
        write_text(options.out, text)
    if options.plots is not None:
        plot_scores(report, baseline, options.plots / "scores.png")
        plot_gallery(pick_pictures(predictor, table), options.plots / "gallery.png")
    if problems:
        errors.print(f"{len(problems)} pictures could not be read; their labels count as missed")
        return EXIT_UNREADABLE
    return 0
