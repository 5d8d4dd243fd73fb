"""Load the model that a command was given."""

from pathlib import Path
from typing import TYPE_CHECKING

from visual_taxonomy.commands.terminal import console
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy

if TYPE_CHECKING:
    from visual_taxonomy.inference.prediction import Predictor


def load_predictor(
    path: Path, attributes_config: Path | None, config: InferenceConfig
) -> "Predictor":
    """Load a checkpoint or a bundle, whose taxonomy must be the one given, if one is.

    Prints why it computes in the precision that `--precision auto` was taken for.

    Raises:
        InputError: It cannot be used, or the taxonomies differ.
    """
    from visual_taxonomy.inference.prediction import Predictor

    predictor = Predictor.load(path, config)
    if predictor.engine.precision_note:
        console.print(predictor.engine.precision_note)
    if attributes_config is not None and Taxonomy.read(attributes_config) != predictor.taxonomy:
        raise InputError(
            f"{attributes_config} is not the taxonomy of {path}; leave --attributes_config out: "
            "a model carries its own"
        )
    return predictor
