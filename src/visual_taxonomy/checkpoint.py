"""The one file format of a model: tensors and plain values, nothing to unpickle.

A checkpoint holds all that prediction needs: weights, taxonomy, configuration, scores, version.
"""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from visual_taxonomy.archive import find_damage
from visual_taxonomy.atomic import write_atomically
from visual_taxonomy.catalogue import CatalogueConfig, from_remembered, remembered
from visual_taxonomy.config import ModelConfig
from visual_taxonomy.config_values import from_dict, to_dict
from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.model.original_checkpoint import (
    NUMPY_NUMBERS,
    convert_original,
    is_original,
)
from visual_taxonomy.regular_file import require_regular
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.version import __version__
from visual_taxonomy.witnesses.combination import Witnesses

FORMAT = 2
"""Number of the format; a reader refuses those it does not know."""

_READABLE = (1, FORMAT)
"""Format 1 has no decision: its answers are the most probable classes."""

_HELD_OUT_TENSORS = ("categories", "groups", "probabilities", "targets")


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
        named_columns: Whether the training CSV named its label columns by the attributes, not
            attr_1, attr_2, ...; predictions are answered alike.
        columns: Which column of the training CSV was what, so that others are read alike.
        decision: From its probabilities to answers; None: the most probable classes.
        decision_figures: What the decision is worth on rows that it was not fitted on, as
            `CrossFitted.to_dict` has it; empty without a decision.
        witnesses: What else it answers from: words, and labels that a row has already.
        held_out: What the model of these weights makes of the validation rows, until a decision is
            fitted on it at the end of the run.
        source: Where it was read from, for messages.
    """

    taxonomy: Taxonomy
    model: ModelConfig
    weights: Mapping[str, Tensor]
    epoch: int = -1
    metrics: Mapping[str, Any] = field(default_factory=dict)
    class_counts: Mapping[str, list[int]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    named_columns: bool = False
    decision: Decision | None = None
    decision_figures: Mapping[str, Any] = field(default_factory=dict)
    witnesses: Witnesses | None = field(default=None, compare=False)
    held_out: HeldOut | None = field(default=None, compare=False)
    columns: CatalogueConfig = field(default_factory=CatalogueConfig)
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
                f"{self.source}: its weights do not fit its own model: {reason}; it was "
                "altered, or another version of vtax wrote it"
            )
        model.load_state_dict(dict(self.weights))
        return model.eval()


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write to a temporary name, then rename: a crash leaves the previous file.

    Raises:
        InputError: The disk is full.
    """
    # Plain containers: `weights_only` refuses other types of mapping when it is read.
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
        "named_columns": checkpoint.named_columns,
        "columns": remembered(checkpoint.columns),
        "decision": {} if checkpoint.decision is None else checkpoint.decision.to_dict(),
        "decision_figures": dict(checkpoint.decision_figures),
        "witnesses": _tensors(checkpoint.witnesses),
        "held_out": _plain_held_out(checkpoint.held_out),
    }
    with write_atomically(path) as temporary:
        torch.save(content, temporary)


def read_checkpoint(path: Path, attributes_config: Path | None = None) -> Checkpoint:
    """Read a checkpoint onto the CPU without unpickling code, every byte against its checksum.

    Args:
        path: A file of `write_checkpoint`, or a checkpoint of the original competition system.
        attributes_config: The taxonomy as JSON. Ours must be the same. The original's files hold
            none: theirs is this one, its order at the word of who gives it (with a warning).

    Raises:
        InputError: The file is missing, damaged, of another format, or not a checkpoint; the
            taxonomy does not fit it, or is needed and was not given.
    """
    content = _load(path)
    if is_original(content):
        return _from_original(path, content, attributes_config)
    if not isinstance(content, dict) or not {"format", "version"} <= content.keys():
        raise InputError(f"{path}: not a checkpoint of vtax; another program wrote it")
    if content["format"] not in _READABLE:
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
            bool(content.get("named_columns", False)),  # absent in files of version 0.1
            columns=from_remembered(content.get("columns", {}), str(path)),
            source=str(path),
        )
        checkpoint = _with_decision(content, checkpoint)
    # Not ValueError, which InputError is: that has better words, and passes as it is.
    except (KeyError, TypeError, AttributeError) as error:
        raise _altered(path, repr(error)) from error
    if attributes_config is not None:
        checkpoint.taxonomy.check_same(attributes_config, path)
    _check_content(checkpoint, path)
    return checkpoint


def read_original(path: Path, attributes_config: Path) -> Checkpoint:
    """Read a checkpoint of the original competition system, and nothing else.

    Raises:
        InputError: It is none, or the taxonomy does not fit it.
    """
    content = _load(path)
    if not is_original(content):
        raise InputError(f"{path}: not a checkpoint of the original system; nothing to convert")
    return _from_original(path, content, attributes_config)


def read_model(path: Path, attributes_config: Path | None = None) -> Checkpoint:
    """`read_checkpoint` for prediction, evaluation and export, which need finite weights.

    Raises:
        InputError: As `read_checkpoint`, or a weight is not a finite number.
    """
    checkpoint = read_checkpoint(path, attributes_config)
    check_finite(path, checkpoint.weights)
    return checkpoint


def check_finite(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights whose answers would be no numbers.

    Raises:
        InputError: A weight is NaN or infinite.
    """
    broken = [name for name, weight in weights.items() if not _is_finite(weight)]
    if broken:
        raise InputError(
            f"{path}: {len(broken)} of {len(weights)} tensors hold NaN or infinite numbers (first: "
            f"{broken[0]}), so it cannot predict; its training diverged. Use a checkpoint of an "
            "earlier epoch, or train again with a lower `scratch_lr` and `pretrained_lr`"
        )


def _is_finite(weight: Tensor) -> bool:
    # aminmax refuses tensors without numbers.
    if not weight.is_floating_point() or not weight.numel():
        return True
    # The extremes pass NaN on; torch.isfinite of every number would take ten times as long.
    return all(bool(extreme.isfinite()) for extreme in weight.aminmax())


def _load(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    with safe_globals(NUMPY_NUMBERS), warnings.catch_warnings(action="ignore"):
        try:
            require_regular(path)
            # One open file for both: another process may replace it under this name meanwhile.
            with path.open("rb") as file:
                damage = find_damage(file)
                if damage is None:
                    file.seek(0)
                    # To the CPU: it may be of a GPU that this machine does not have.
                    return torch.load(file, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InputError(f"{path}: no such checkpoint") from None
        except (InputError, OSError):
            raise  # of the system: no permission, a folder; the command line has the words for it
        except Exception as error:
            # torch reports damage and forbidden pickles by many types of its own.
            raise InputError(
                f"{path}: not a checkpoint of vtax, or damaged ({_reason(path, error)})"
            ) from error
    raise InputError(
        f"{path}: not a checkpoint of vtax, or damaged ({damage}); copy the file again, or delete "
        "it and use another checkpoint of the run"
    )


def _reason(path: Path, error: Exception) -> str:
    """In a few words; torch's own go on with how to unpickle the file all the same."""
    if isinstance(error, UnpicklingError):
        forbidden: list[str] = []
        with suppress(Exception):  # no zip file, or one cut off
            forbidden = get_unsafe_globals_in_checkpoint(path)
        if forbidden:
            return f"it holds {', '.join(sorted(forbidden)[:3])}"
    text = str(error).partition(". ")[0].partition("\n")[0]
    plain = isinstance(error, RuntimeError | OSError) and "weights_only" not in text
    return text if plain else "not made of tensors and plain values"


def _from_original(
    path: Path, content: Mapping[str, Any], attributes_config: Path | None
) -> Checkpoint:
    if attributes_config is None:
        raise InputError(
            f"{path}: a checkpoint of the original competition system, which names no attribute "
            "and no class. Give the JSON it was trained with (that of the competition is "
            "configs/competition.json) as `attributes_config`, or make a checkpoint that holds it: "
            f"`vtax convert {path} --attributes_config FILE --out best.pt`"
        )
    taxonomy = Taxonomy.read(attributes_config)
    model, weights, epoch, metrics = convert_original(path, content, taxonomy, attributes_config)
    warnings.warn(
        f"{path} names no attribute and no class: they are taken from {attributes_config}. If its "
        "order is not that of the training, the predictions are wrong",
        stacklevel=1,
    )
    return Checkpoint(taxonomy, model, weights, epoch, metrics)


def _check_content(checkpoint: Checkpoint, path: Path) -> None:
    # Not isinstance: True would pass for an epoch.
    if type(checkpoint.epoch) is not int:
        raise _altered(path, f"epoch {checkpoint.epoch!r} is not a whole number")
    for name in ("metrics", "class_counts", "training"):
        if not isinstance(getattr(checkpoint, name), Mapping):
            raise _altered(path, f"{name} holds no names and values")
    tasks = {task.name: len(task.classes) for task in checkpoint.taxonomy.tasks}
    counts = checkpoint.class_counts
    given = {name: len(c) if isinstance(c, list) else 0 for name, c in counts.items()}
    # Checkpoints of the original system have no counts.
    if counts and given != tasks:
        raise _altered(path, "class_counts are not of the classes of its taxonomy")


def _altered(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: damaged, or altered ({reason}); use a copy, or train again")


def _plain_held_out(held_out: HeldOut | None) -> dict[str, Any]:
    if held_out is None:
        return {}
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(held_out, name)))
        for name in _HELD_OUT_TENSORS
    }
    return {"ids": [str(each) for each in held_out.ids], **tensors}


def _tensors(witnesses: Witnesses | None) -> dict[str, Tensor]:
    arrays = {} if witnesses is None else witnesses.to_arrays()
    # Copies, because torch warns of arrays that are read-only.
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _with_decision(content: Mapping[str, Any], checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with its decision, or with the held-out predictions for one.

    Raises:
        InputError: The decision is damaged, or was fitted for another taxonomy.
    """
    taxonomy = checkpoint.taxonomy
    # A soup has words and no decision yet; `vtax calibrate` takes them up.
    checkpoint = replace(checkpoint, witnesses=_witnesses(content, checkpoint))
    if content.get("decision"):
        try:
            decision = Decision.from_dict(taxonomy, content["decision"])
        except InputError as error:
            raise InputError(f"{checkpoint.source}: {error}") from None
        figures = dict(content["decision_figures"])
        return replace(checkpoint, decision=decision, decision_figures=figures)
    kept = content.get("held_out")
    if not kept:
        return checkpoint
    arrays = (kept[name].numpy() for name in _HELD_OUT_TENSORS)
    ids = np.array(kept["ids"], np.str_)
    return replace(checkpoint, held_out=HeldOut(taxonomy, checkpoint.class_counts, ids, *arrays))


def _witnesses(content: Mapping[str, Any], checkpoint: Checkpoint) -> Witnesses | None:
    tensors = content.get("witnesses")  # absent in files of earlier versions
    if not tensors:
        return None
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    try:
        return Witnesses.from_arrays(checkpoint.taxonomy, arrays)
    except InputError as error:
        raise InputError(f"{checkpoint.source}: {error}") from None


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
        # Not the type itself: `load_state_dict` converts float16 and float32 into one another.
        if found.is_floating_point() != tensor.is_floating_point():
            return f"'{name}' is of type {found.dtype}, not {tensor.dtype}"
    unknown = next((name for name in weights if name not in expected), None)
    return "" if unknown is None else f"'{unknown}' is no part of the model"
