"""The model that a command was given: load it, and which files it is read from."""

from pathlib import Path
from typing import TYPE_CHECKING

from visual_taxonomy.commands.screen import Screen
from visual_taxonomy.commands.terminal import console
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.inference.bundle import is_bundle

if TYPE_CHECKING:
    from visual_taxonomy.inference.prediction import Predictor


def load_predictor(
    path: Path,
    attributes_config: Path | None,
    config: InferenceConfig,
    notes: Screen = console,
) -> "Predictor":
    """Load a checkpoint or a bundle, whose taxonomy must be the one given, if one is.

    A checkpoint of the original system has no taxonomy: there it must be given.
    Prints to `notes` why it computes in the precision that `--precision auto` was taken for, and
    that it answers without a decision where nobody asked for that.

    Raises:
        InputError: It cannot be used, or the taxonomies differ.
    """
    from visual_taxonomy.inference.prediction import Predictor

    predictor = Predictor.load(path, config, attributes_config)
    if predictor.engine.precision_note:
        notes.print(predictor.engine.precision_note)
    if predictor.decision_note:
        notes.print(f"note: {path}: {predictor.decision_note}")
    return predictor


def model_inputs(path: Path) -> list[Path]:
    """The files of a checkpoint or a bundle; CSVs in a bundle's folder are no part of it."""
    if not is_bundle(path):
        return [path]
    return [
        file for file in path.iterdir() if file.suffix != ".csv" and not file.name.startswith(".")
    ]
