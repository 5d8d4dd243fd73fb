"""Checkpoints of the original competition system, under the names of this one.

Such a file is a dict of `state_dict`, `metrics`, `epoch` and `args` (its flags). It names no
attribute and no class: they are numbered in the order of the attributes JSON it was trained with.

    clip_model.visual.*                the image tower, in the layout of open_clip
    b_norm.bn_layers.K.*               BatchNorm of category K; absent without `batch_norm`
    inter_linear.ln_layers.K.*         its Linear to half width; absent without `inter_linear`
    <category in lower case>_fcs.I.*   Linear of its attribute I, an output for each class
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import numpy as np
import torch
from timm.models import clean_state_dict
from torch import Tensor

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import create_backbone
from visual_taxonomy.model.heads import CategoryHeads
from visual_taxonomy.model.pretrained import Weights, convert_weights
from visual_taxonomy.taxonomy import Taxonomy

_TOWER = "clip_model.visual."
_BACKBONE_OF_PATCH = {32: "ViT-B-32", 14: "ViT-L-14"}
_HEAD = re.compile(r"(.+)_fcs\.(\d{1,4})\.weight", re.DOTALL)
# Byte order, kind and size: whole numbers, floats and booleans. No objects, no strings.
_NUMBER = re.compile(r"[<>|=]([fiu][1248]|b1)")
_STATISTICS = "norm.running_"
_NORM, _LINEAR = "b_norm.bn_layers", "inter_linear.ln_layers"
_SCORES = {"hm": "H.M F1-Score", "micro": "Micro F1-Score", "macro": "Macro F1-Score"}


class OriginalModel(NamedTuple):
    """What a file says, with the names and numbers of a checkpoint of ours."""

    model: ModelConfig
    weights: Weights
    epoch: int
    """From 0; the original counts from 1. -1 where the file does not say."""
    metrics: dict[str, float]
    """Its overall scores `hm`, `micro`, `macro`, if it has them."""


def is_original(content: object) -> bool:
    """Whether the content of a file is a checkpoint of the original system, or its state_dict.

    Example:
        >>> is_original({"state_dict": {"module.clip_model.visual.proj": torch.zeros(2, 2)}})
        True
        >>> is_original({"state_dict": {"visual.proj": torch.zeros(2, 2)}})
        False
    """
    return any(name.startswith(_TOWER) for name in _state(content))


def convert_original(
    path: Path, content: Mapping[str, Any], taxonomy: Taxonomy, attributes_config: Path
) -> OriginalModel:
    """Read the content of a file for which `is_original` holds.

    That the taxonomy lists attributes and classes in the order of the training cannot be seen in
    the file. Their numbers can, and the names and order of the categories.

    Args:
        path: The file, for messages.
        content: What it holds.
        taxonomy: What its heads predict.
        attributes_config: Where that was read, for messages.

    Raises:
        InputError: The taxonomy does not fit the weights, the first that differs is named; or a
            weight is missing, unexpected or of another shape.
    """
    state = _state(content)
    tower = {
        name.removeprefix("clip_model."): tensor
        for name, tensor in state.items()
        if name.startswith(_TOWER)
    }
    # What else clip_model may hold is the text tower, of which the original makes no use.
    heads = {name: tensor for name, tensor in state.items() if not name.startswith("clip_model.")}
    # The first alone: each check relies on those before it, and would fail on a key.
    for problem in _differences(heads, taxonomy):
        raise InputError(
            f"{attributes_config} does not fit {path}: {problem}; give the JSON that the model "
            "was trained with"
        )
    config = ModelConfig(
        backbone=_backbone_name(path, tower),
        pretrained_ckpt="none",
        normalization="clip",
        batch_norm=_count(heads, _NORM) > 0,
        inter_linear=_count(heads, _LINEAR) > 0,
        head="linear",
    )
    with torch.device("meta"):  # only its names and shapes are needed
        backbone = create_backbone(config.backbone)
    own = {
        f"encoder.backbone.model.{name}": tensor
        for name, tensor in convert_weights(backbone, path, tower).items()
    } | {
        f"heads.{name}": tensor
        for name, tensor in _convert_heads(path, heads, taxonomy, config, backbone.width).items()
    }
    weights = {name: tensor.float().contiguous() for name, tensor in own.items()}
    return OriginalModel(config, weights, _epoch(content), _metrics(content))


def _state(content: object) -> Weights:
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    entries = content.items() if isinstance(content, Mapping) else ()
    tensors = {
        name: value
        for name, value in entries
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    return clean_state_dict(tensors)


def _backbone_name(path: Path, tower: Weights) -> str:
    convolution = tower.get("visual.conv1.weight", torch.empty(0))
    name = _BACKBONE_OF_PATCH.get(convolution.shape[-1]) if convolution.ndim else None
    if name is None:
        raise InputError(
            f"{path}: its image tower is none of {', '.join(_BACKBONE_OF_PATCH.values())}, those "
            f"of the original system (visual.conv1.weight is {tuple(convolution.shape)})"
        )
    return name


def _differences(heads: Weights, taxonomy: Taxonomy) -> Iterator[str]:
    """In words, where the taxonomy and the weights differ, the first first."""
    num_classes: dict[str, dict[int, int]] = {}
    for name, tensor in heads.items():
        if match := _HEAD.fullmatch(name):
            of_category = num_classes.setdefault(match[1], {})
            of_category[int(match[2])] = tensor.shape[0] if tensor.ndim else 0
    yield from _different_categories(list(num_classes), taxonomy)
    for category, tasks in zip(taxonomy.categories, taxonomy.slots, strict=True):
        found = num_classes[category.lower()]
        if sorted(found) != list(range(len(tasks))):
            yield f"category '{category}' has {len(tasks)} attributes, in the model {len(found)}"
        for slot, task in enumerate(taxonomy.tasks[t] for t in tasks):
            if found[slot] != len(task.classes):
                yield (
                    f"attribute '{task.name}' has {len(task.classes)} classes, in the model "
                    f"{found[slot]} ({category.lower()}_fcs.{slot})"
                )
    for layers in (_NORM, _LINEAR):
        if (count := _count(heads, layers)) not in (0, len(taxonomy.categories)):
            yield f"{len(taxonomy.categories)} categories, in the model {count} ({layers})"


def _different_categories(found: Sequence[str], taxonomy: Taxonomy) -> Iterator[str]:
    # A state_dict keeps the order in which the layers were made: that of the JSON.
    expected = dict.fromkeys(category.lower() for category in taxonomy.categories)
    for number, (here, there) in enumerate(zip_longest(expected, found), 1):
        if here != there:
            yield (
                f"category {number} is {_quoted(here)}, in the model {_quoted(there)} (all in "
                f"lower case; the model has, in this order: {', '.join(found)})"
            )


def _quoted(name: str | None) -> str:
    return "missing" if name is None else f"'{name}'"


def _count(heads: Weights, layers: str) -> int:
    """How many categories have a layer of this kind."""
    return len({name.split(".")[2] for name in heads if name.startswith(f"{layers}.")})


def _convert_heads(
    path: Path, heads: Weights, taxonomy: Taxonomy, config: ModelConfig, width: int
) -> Weights:
    own = CategoryHeads(taxonomy, width, config.batch_norm, config.inter_linear).state_dict()
    sources = _sources(taxonomy, config)
    _check_names(path, heads, [name for names in sources.values() for name in names])
    converted: Weights = {}
    for ours, names in sources.items():
        # Ours are one tensor [K, D], theirs a tensor for each category.
        shape = own[ours].shape[1:] if ours.startswith(_STATISTICS) else own[ours].shape
        for name in names:
            if heads[name].shape != shape:
                raise InputError(
                    f"{path}: {name} is {tuple(heads[name].shape)}, expected {tuple(shape)} "
                    f"behind {config.backbone}, which gives {width} features"
                )
        tensors = [heads[name] for name in names]
        converted[ours] = torch.stack(tensors) if ours.startswith(_STATISTICS) else tensors[0]
    return converted


def _sources(taxonomy: Taxonomy, config: ModelConfig) -> dict[str, list[str]]:
    """Our name of each weight of the heads -> the original's: of statistics, each category's."""
    categories = range(len(taxonomy.categories))
    sources = {}
    if config.batch_norm:
        for statistic in ("running_mean", "running_var"):
            sources[f"norm.{statistic}"] = [f"{_NORM}.{k}.{statistic}" for k in categories]
    layers = {"norm": _NORM} if config.batch_norm else {}
    layers |= {"linear": _LINEAR} if config.inter_linear else {}
    pairs = [(ours, k, f"{theirs}.{k}") for ours, theirs in layers.items() for k in categories]
    pairs += [
        ("classifiers", task, f"{category.lower()}_fcs.{slot}")
        for category, tasks in zip(taxonomy.categories, taxonomy.slots, strict=True)
        for slot, task in enumerate(tasks)
    ]
    for ours, number, theirs in pairs:
        sources[f"{ours}.weights.{number}"] = [f"{theirs}.weight"]
        sources[f"{ours}.biases.{number}"] = [f"{theirs}.bias"]
    return sources


def _check_names(path: Path, heads: Weights, expected: Sequence[str]) -> None:
    known = set(expected)
    problems = {
        "lacks": [name for name in expected if name not in heads],
        "holds, besides those of the original system,": [
            # The last counts batches, which evaluation does not need.
            name
            for name in heads
            if name not in known and not name.endswith("num_batches_tracked")
        ],
    }
    for problem, names in problems.items():
        if names:
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise InputError(f"{path}: {problem} {len(names)} weights: {listed}")


def _epoch(content: Mapping[str, Any]) -> int:
    epoch = content.get("epoch")
    return epoch - 1 if isinstance(epoch, int) else -1


def _metrics(content: Mapping[str, Any]) -> dict[str, float]:
    scores: Any = content.get("metrics")
    scores = scores.get("Overall Scores") if isinstance(scores, Mapping) else None
    if not isinstance(scores, Mapping):
        return {}
    found = {ours: scores.get(theirs) for ours, theirs in _SCORES.items()}
    known = {name: value for name, value in found.items() if isinstance(value, int | float)}
    # All or none: what prints one prints the three.
    return known if len(known) == len(_SCORES) and all(map(math.isfinite, known.values())) else {}


class _NumpyType:
    """Stands for a dtype in a file: remembers its code and byte order, and no more."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


def _number(kind: object, content: object) -> float:
    """The number that a NumPy scalar in a file says, as Python's own."""
    code = f"{kind.order}{kind.code}" if isinstance(kind, _NumpyType) else ""
    if not _NUMBER.fullmatch(code) or not isinstance(content, bytes):
        raise UnpicklingError("a NumPy scalar that is not a number")
    return np.frombuffer(content, code, count=1).item()


NUMPY_NUMBERS: list[Any] = [
    (_NumpyType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),  # NumPy 1
    (_number, "numpy._core.multiarray.scalar"),  # NumPy 2
]
"""For `torch.serialization.safe_globals`: NumPy's numbers, which its `metrics` may hold.

NumPy's own functions stay forbidden: these stand-ins are called in their place, since a crafted
dtype could make NumPy read or write memory that is not the number's.
"""
