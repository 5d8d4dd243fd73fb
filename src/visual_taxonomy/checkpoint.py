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
        source: Where it was read from, for messages.
    """

    taxonomy: Taxonomy
    model: ModelConfig
    weights: Mapping[str, Tensor]
    epoch: int = -1
    metrics: Mapping[str, Any] = field(default_factory=dict)
    class_counts: Mapping[str, list[int]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    source: str = field(default="the checkpoint", compare=False)

    def classifier(self) -> Classifier:
        """The model with its weights, in evaluation mode, on the CPU.

        Raises:
            InputError: The weights are not those of this model; the first that differs is named.
        """
        model = build_classifier(self.taxonomy, self.model)
        reason = misfit(self.weights, model.state_dict())
        if reason:
            raise InputError(
                f"{self.source}: its weights are not those of its own model: {reason}; it was "
                "altered, or another version of vtax wrote it"
            )
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
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint") from None
    except OSError:
        raise  # of the system: no permission, a folder; the command line has the words for it
    except Exception as error:
        # torch reports damage and forbidden pickles by many types of its own, in pages of text
        # that advise to unpickle the file all the same.
        raise InputError(f"{path}: not a checkpoint of vtax, or damaged") from error
    if not isinstance(content, dict) or not {"format", "version"} <= content.keys():
        raise InputError(f"{path}: not a checkpoint of vtax; its writer was another program")
    if content["format"] != FORMAT:
        raise InputError(
            f"{path}: format {content['format']}, written by version {content['version']}; "
            f"this version {__version__} reads format {FORMAT}"
        )
    try:
        checkpoint = Checkpoint(
            Taxonomy.from_dict(content["taxonomy"]),
            from_dict(ModelConfig, content["model"], str(path)),
            content["weights"],
            content["epoch"],
            content["metrics"],
            content["class_counts"],
            content["training"],
            str(path),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _altered(path, repr(error)) from error
    _check_content(checkpoint, path)
    return checkpoint


def _check_content(checkpoint: Checkpoint, path: Path) -> None:
    if type(checkpoint.epoch) is not int:
        raise _altered(path, f"epoch {checkpoint.epoch!r} is no whole number")
    for name in ("metrics", "class_counts", "training"):
        if not isinstance(getattr(checkpoint, name), Mapping):
            raise _altered(path, f"{name} holds no names and values")
    tasks = {task.name: len(task.classes) for task in checkpoint.taxonomy.tasks}
    counts = checkpoint.class_counts
    given = {name: len(c) if isinstance(c, list) else 0 for name, c in counts.items()}
    if counts and given != tasks:
        raise _altered(path, "class_counts are not of the classes of its taxonomy")


def _altered(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: damaged, or altered ({reason}); use a copy, or train again")


def misfit(weights: object, expected: Mapping[str, Tensor]) -> str:
    """The first of the weights that a model cannot take, and why; empty if all fit.

    Example:
        >>> misfit({"a": torch.zeros(2)}, {"a": torch.zeros(3)})
        "'a' is of shape [2], not [3]"
    """
    if not isinstance(weights, Mapping):
        return f"they are a {type(weights).__name__}, not tensors by name"
    for name, tensor in expected.items():
        found = weights.get(name)
        if not isinstance(found, Tensor):
            return f"'{name}' is missing"
        if found.shape != tensor.shape:
            return f"'{name}' is of shape {list(found.shape)}, not {list(tensor.shape)}"
        if found.is_floating_point() != tensor.is_floating_point():
            return f"'{name}' is of type {found.dtype}, not {tensor.dtype}"
    unknown = next((name for name in weights if name not in expected), None)
    return "" if unknown is None else f"'{unknown}' is no part of the model"
