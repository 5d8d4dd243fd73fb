"""The one file format of a model: tensors and plain values, nothing to unpickle.

A checkpoint holds all that prediction needs: weights, taxonomy, configuration, scores, version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visual_taxonomy import __version__
from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.config import ModelConfig, from_dict, to_dict
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.taxonomy import Taxonomy

FORMAT = 1
"""Number of the format; a reader refuses those it does not know."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file says.

    Args:
        taxonomy: What the heads predict.
        model: Backbone and heads; `head` is resolved, never "auto".
        weights: Of the classifier, by name.
        epoch: The epoch it was written after, from 0; -1 before the first has ended.
        metrics: Scores on the validation rows, as in the detailed metrics file.
        class_counts: Task name -> training labels of each class, in the order of the taxonomy.
        training: Only in last.pt: all that a resumed run needs beside the weights.
    """

    taxonomy: Taxonomy
    model: ModelConfig
    weights: Mapping[str, Tensor]
    epoch: int = -1
    metrics: Mapping[str, Any] = field(default_factory=dict)
    class_counts: Mapping[str, list[int]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def classifier(self) -> Classifier:
        """The model with its weights, in evaluation mode, on the CPU."""
        model = build_classifier(self.taxonomy, self.model)
        model.load_state_dict(dict(self.weights))
        return model.eval()


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write to a temporary name, then rename: a crash leaves the previous file.

    Raises:
        InputError: The disk is full.
    """
    content = {
        "format": FORMAT,
        "version": __version__,
        "taxonomy": checkpoint.taxonomy.to_dict(),
        "model": to_dict(checkpoint.model),
        "weights": dict(checkpoint.weights),
        "epoch": checkpoint.epoch,
        "metrics": dict(checkpoint.metrics),
        "class_counts": dict(checkpoint.class_counts),
        "training": dict(checkpoint.training),
    }
    with write_atomically(path) as temporary:
        torch.save(content, temporary)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU without unpickling code.

    Raises:
        InputError: The file is missing, damaged, of another format, or not a checkpoint.
    """
    try:
        require_regular(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint") from None
    except InputError:
        raise
    except Exception as error:
        # torch reports damage and forbidden pickles by many types of its own.
        raise InputError(f"{path}: not a checkpoint of vtax, or damaged ({error})") from error
    if not isinstance(content, dict) or not {"format", "version"} <= content.keys():
        raise InputError(f"{path}: not a checkpoint of vtax; its writer was another program")
    if content["format"] != FORMAT:
        raise InputError(
            f"{path}: format {content['format']}, written by version {content['version']}; "
            f"this version {__version__} reads format {FORMAT}"
        )
    return Checkpoint(
        Taxonomy.from_dict(content["taxonomy"]),
        from_dict(ModelConfig, content["model"], str(path)),
        content["weights"],
        content["epoch"],
        content["metrics"],
        content["class_counts"],
        content["training"],
    )
