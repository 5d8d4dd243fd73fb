"""Load the model that a command was given."""

from pathlib import Path
from typing import TYPE_CHECKING

from visual_taxonomy.config import InferenceConfig

if TYPE_CHECKING:
    from visual_taxonomy.inference.prediction import Predictor


def load_predictor(
    path: Path, attributes_config: Path | None, config: InferenceConfig
) -> "Predictor":
    """Load a checkpoint or a bundle, whose taxonomy must be the one given, if one is.

    A checkpoint of the original system has no taxonomy: there it must be given.

    Raises:
        InputError: It cannot be used, or the taxonomies differ.
    """
    from visual_taxonomy.inference.prediction import Predictor

    return Predictor.load(path, config, attributes_config)
