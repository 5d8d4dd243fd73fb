"""The command line: parse, call one function, print.

Everything heavy is imported inside the command that needs it, so that help is instant.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape

from visual_taxonomy.config import InferenceConfig, TrainConfig, read_toml
from visual_taxonomy.errors import InputError
from visual_taxonomy.progress import show_progress
from visual_taxonomy.taxonomy import Taxonomy

EXIT_INPUT = 2
"""Something given cannot be used."""
EXIT_UNREADABLE = 3
"""Done, but some pictures could not be read."""
EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C or SIGTERM."""

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint on labelled rows."""

    img_dir: Path
    """Folder of the pictures."""
    csv_path: Path
    """Labelled CSV (or Parquet), as for training."""
    ckpt_path: Path
    """Checkpoint."""
    attributes_config: Path | None = None
    """Taxonomy to check against that of the checkpoint."""
    out: Path | None = None
    """JSON file for the detailed metrics."""
    plots: Path | None = None
    """Folder for scores.png and gallery.png."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)


@dataclass(frozen=True)
class Predict:
    """Predict the attributes of the products of a CSV."""

    img_dir: Path
    """Folder of the pictures."""
    csv_path: Path
    """CSV (or Parquet) with id and Category."""
    ckpt_path: Path
    """Checkpoint, or a folder of them: one CSV each."""
    attributes_config: Path | None = None
    """Taxonomy to check against that of the checkpoint."""
    out_csv_path: Path | None = None
    """CSV to write; beside the checkpoint, under its name, when left out. A folder for a folder."""
    probabilities: bool = False
    """Add columns prob_1 ... with the probability of each label."""
    skip_missing: bool = False
    """Treat a missing picture like an unreadable one instead of refusing to start."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)


@dataclass(frozen=True)
class CreateConfig:
    """Build the taxonomy from the labels of a CSV."""

    csv_path: Path
    """Labelled CSV (or Parquet)."""
    parq_path: Path | None = None
    """Parquet with Category and Attribute_list; names come from the CSV when left out."""
    out_path: Path = Path("config/attrs_config.json")
    """JSON file to write."""


@dataclass(frozen=True)
class DownloadWeights:
    """Fetch the published fashion weights of a backbone."""

    name: tyro.conf.Positional[Literal["ViT-B-32", "ViT-L-14"]]
    """Backbone."""
    out_dir: Path = Path("weights")
    """Folder for the file."""
    base_url: str | None = None
    """Address of a mirror; the publisher's when left out."""


@dataclass(frozen=True)
class Synthesize:
    """Draw a catalogue of garments whose pictures show their labels."""

    out: Path
    """Folder to write."""
    rows: int = 2000
    """Products, training and test together."""
    seed: int = 0
    """The same seed draws the same catalogue."""
    image_size: int = 160
    """Height of the pictures in pixels; they are three quarters as wide."""
    test_share: float = 0.2
    """Share of the rows in test.csv."""


@dataclass(frozen=True)
class List:
    """Show what can be chosen."""

    what: tyro.conf.Positional[Literal["losses", "schedules", "methods", "backbones"]]
    """The table to show."""
    verbose: bool = False
    """Formula, parameters, defaults and paper of each entry."""


def main() -> None:
    """The command `vtax`."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(run(sys.argv[1:]))
    except InputError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def run(arguments: list[str]) -> int:
    """Run one command.

    Args:
        arguments: As behind `vtax` on the command line.

    Returns:
        The exit status.

    Raises:
        InputError: Something given cannot be used.
    """
    arguments, defaults = _take_config(arguments)
    commands: Any = (
        Annotated[TrainConfig, _command("train", train, defaults)]
        | Annotated[Evaluate, _command("evaluate", evaluate)]
        | Annotated[Predict, _command("predict", predict)]
        | Annotated[CreateConfig, _command("create-config", create_config)]
        | Annotated[DownloadWeights, _command("download-weights", download_weights)]
        | Annotated[Synthesize, _command("synthesize", synthesize)]
        | Annotated[List, _command("list", list_entries)]
    )
    chosen = tyro.cli(
        commands,
        prog="vtax",
        description="Many attributes of a product from its picture.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
        use_underscores=True,
    )
    return _FUNCTIONS[type(chosen)](chosen)


def train(config: TrainConfig) -> int:
    """Train a model. `--config FILE.toml` gives defaults, flags override them."""
    from visual_taxonomy.evaluation import majority_report
    from visual_taxonomy.reporting.curves import plot_training
    from visual_taxonomy.reporting.scores import plot_scores, score_table
    from visual_taxonomy.training.loop import Interrupted
    from visual_taxonomy.training.loop import train as train_model

    try:
        result = train_model(config, console)
    except Interrupted:
        folder = config.run.folder
        errors.print(f"stopped; go on with: vtax train --config {folder / 'config.toml'} --resume")
        return EXIT_INTERRUPTED
    if result is None:
        return 0
    table = result.validation
    baseline = majority_report(table.taxonomy, result.class_counts, table.targets, table.categories)
    plot_training(result.history, result.folder / "training.png")
    plot_scores(result.report, baseline, result.folder / "scores.png")
    console.print(score_table(result.report, baseline))
    console.print(f"best epoch, tables and plots: {result.folder}")
    return 0


def evaluate(options: Evaluate) -> int:
    """Score a checkpoint on labelled rows."""
    import json

    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.evaluation import evaluate as score
    from visual_taxonomy.evaluation import majority_report
    from visual_taxonomy.prediction import Predictor
    from visual_taxonomy.reporting.gallery import pick_pictures, plot_gallery
    from visual_taxonomy.reporting.scores import plot_scores, score_table

    predictor = Predictor.load(options.ckpt_path, options.inference)
    _check_taxonomy(options.attributes_config, predictor.taxonomy, options.ckpt_path)
    table = read_table(options.csv_path, options.img_dir, predictor.taxonomy)
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


def predict(options: Predict) -> int:
    """Predict the attributes of the products of a CSV."""
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.prediction import Predictor
    from visual_taxonomy.prediction_file import write_predictions

    status = 0
    for checkpoint, out in _outputs(options.ckpt_path, options.out_csv_path):
        predictor = Predictor.load(checkpoint, options.inference)
        _check_taxonomy(options.attributes_config, predictor.taxonomy, checkpoint)
        missing: Literal["keep", "error"] = "keep" if options.skip_missing else "error"
        table = read_table(
            options.csv_path, options.img_dir, predictor.taxonomy, False, missing_images=missing
        )
        with show_progress(console, "predicting", len(table)) as advance:
            written = write_predictions(predictor, table, out, options.probabilities, advance)
        for category, rows in written.rows.items():
            each = written.seconds[category] / rows
            console.print(f"{category}: {rows} rows, {each:.4f} seconds per image")
        console.print(f"{sum(written.rows.values())} rows: {out}")
        if written.problems:
            errors.print(
                f"{len(written.problems)} pictures could not be read: {written.errors_path}"
            )
            status = EXIT_UNREADABLE
    return status


def create_config(options: CreateConfig) -> int:
    """Build the taxonomy from the labels of a CSV."""
    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.table import build_taxonomy

    taxonomy = build_taxonomy(options.csv_path, options.parq_path)
    write_text(options.out_path, taxonomy.to_json())
    console.print(
        f"{len(taxonomy.categories)} categories, {len(taxonomy.tasks)} attributes: "
        f"{options.out_path}"
    )
    return 0


def download_weights(options: DownloadWeights) -> int:
    """Fetch the published fashion weights of a backbone."""
    from visual_taxonomy.model.download import download_weights as fetch

    with show_progress(console, f"downloading {options.name}") as advance:
        path = fetch(options.name, options.out_dir, options.base_url, advance)
    console.print(f"{path}")
    return 0


def synthesize(options: Synthesize) -> int:
    """Draw a catalogue of garments whose pictures show their labels."""
    from visual_taxonomy.data.synthetic import synthesize as draw

    with show_progress(console, "drawing", options.rows) as advance:
        draw(
            options.out,
            options.rows,
            options.seed,
            options.image_size,
            options.test_share,
            on_progress=advance,
        )
    console.print(f"{options.rows} products: {options.out}")
    return 0


def list_entries(options: List) -> int:
    """Show what can be chosen."""
    if options.what == "backbones":
        from visual_taxonomy.model.backbone import backbone_names

        for name in backbone_names():
            console.print(name)
        return 0
    for name, entry in _tables()[options.what].items():
        text = (entry.__doc__ or "").strip()
        if options.verbose:
            console.print(f"[bold]{name}[/bold]\n{escape(text)}\n")
        else:
            console.print(f"{name:18} {escape(text.splitlines()[0])}")
    return 0


def _command(name: str, function: Callable[[Any], int], default: object = None) -> object:
    """The sub-command of a function, whose docstring is its description."""
    given: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.conf.subcommand(name, description=function.__doc__, **given)


def _take_config(arguments: list[str]) -> tuple[list[str], TrainConfig | None]:
    """Take `--config FILE` out of the arguments of train and read the file."""
    if arguments[:1] != ["train"] or "--config" not in arguments:
        return arguments, None
    position = arguments.index("--config")
    if position + 1 == len(arguments):
        raise InputError("--config needs a TOML file")
    path = Path(arguments[position + 1])
    return arguments[:position] + arguments[position + 2 :], read_toml(TrainConfig, path)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    errors.print(f"[yellow]warning:[/yellow] {escape(str(message))}")


def _check_taxonomy(given: Path | None, taxonomy: Taxonomy, checkpoint: Path) -> None:
    if given is not None and Taxonomy.read(given) != taxonomy:
        raise InputError(
            f"{given} is not the taxonomy of {checkpoint}; leave --attributes_config out: "
            "a checkpoint carries its own"
        )


def _outputs(checkpoint: Path, out: Path | None) -> list[tuple[Path, Path]]:
    """Checkpoint files, each with the CSV to write."""
    if not checkpoint.is_dir():
        return [(checkpoint, out or checkpoint.with_suffix(".csv"))]
    found = sorted(path for path in checkpoint.glob("*.pt") if path.name != "last.pt")
    if not found:
        raise InputError(f"{checkpoint}: no checkpoint (*.pt) in this folder")
    if out is not None and out.suffix:
        raise InputError(f"--out_csv_path {out}: several checkpoints need a folder, not a file")
    return [(path, (out or checkpoint) / f"{path.stem}.csv") for path in found]


def _tables() -> dict[str, dict[str, type]]:
    from visual_taxonomy.class_weighting import CLASS_WEIGHTINGS
    from visual_taxonomy.losses import LOSSES
    from visual_taxonomy.task_weighting import TASK_WEIGHTINGS

    return {"losses": LOSSES, "schedules": CLASS_WEIGHTINGS, "methods": TASK_WEIGHTINGS}


_FUNCTIONS: dict[type, Callable[[Any], int]] = {
    TrainConfig: train,
    Evaluate: evaluate,
    Predict: predict,
    CreateConfig: create_config,
    DownloadWeights: download_weights,
    Synthesize: synthesize,
    List: list_entries,
}
