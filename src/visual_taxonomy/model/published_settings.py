"""What a weights file says of the images it was trained with, so that no flag has to repeat it.

Read are `config.json` beside the file, as repositories of timm on the Hugging Face hub have it
(`pretrained_cfg` with mean and std, `model_args`), and the metadata of a safetensors file where
they name "mean 0.5 std 0.5" or "pad_type='same'".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from timm.models import get_pretrained_cfg, is_model

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.classifier import NORMALIZATIONS

_CONFIG = "config.json"
# A config of timm has one kilobyte; whatever is larger is another file of that name.
_MOST_BYTES = 1 << 20
_NUMBERS = r"[\[(]?([\d., ]*\d)[\])]?"
_MEAN_AND_STD = re.compile(rf"mean[ =:]*{_NUMBERS}[,;]? *std[ =:]*{_NUMBERS}")
_PADDING = re.compile(r"pad_type[ =:]*['\"]?(\w*)")
# Presets are published with up to eight digits, files often with three.
_EQUAL = 5e-4


def as_published(config: ModelConfig) -> ModelConfig:
    """The config with what its weights file says where no flag says anything.

    Filled in are `normalization`, where it is that of the backbone, and `backbone_parameters`
    that are not given.

    Args:
        config: Whose `pretrained_ckpt` may be a file.

    Raises:
        InputError: The file says a mean and std that no `normalization` has.
    """
    path = Path(config.pretrained_ckpt)
    if not path.is_file():
        return config
    mean, std, parameters = _read(path)
    # In this order: what a flag gives wins over what the file says.
    given = dict(parameters) | dict(config.backbone_parameters)
    config = replace(config, backbone_parameters=given)
    if config.normalization != "backbone" or not (mean and std):
        return config
    for name in NORMALIZATIONS:
        preset = NORMALIZATIONS[name]
        if preset is not None and _is_close(mean, preset[0]) and _is_close(std, preset[1]):
            return replace(config, normalization=name)  # type: ignore[arg-type]
    own = get_pretrained_cfg(config.backbone) if is_model(config.backbone) else None
    if own is not None and _is_close(mean, own.mean) and _is_close(std, own.std):
        return config
    raise InputError(
        f"{path} was trained with images of mean {mean} and std {std}, which no `normalization` "
        f"has; choose the nearest: {', '.join(list(NORMALIZATIONS)[1:])}"
    )


def _read(path: Path) -> tuple[list[float], list[float], dict[str, Any]]:
    """Mean, std and model arguments; empty where nothing is said."""
    beside = path.with_name(_CONFIG)
    if beside.is_file() and beside.stat().st_size <= _MOST_BYTES:
        found = _of_timm(beside)
        if found is not None:
            return found
    return _of_metadata(path) if path.suffix == ".safetensors" else ([], [], {})


def _of_timm(path: Path) -> tuple[list[float], list[float], dict[str, Any]] | None:
    """None if the file is no config of timm."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        published = content["pretrained_cfg"]
        mean, std = ([float(each) for each in published[name]] for name in ("mean", "std"))
        arguments = content.get("model_args", {})
    # Any file may have this name; JSON that is nested too deeply ends in RecursionError.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    plain = isinstance(arguments, Mapping)
    return mean, std, {k: v for k, v in arguments.items() if _is_plain(v)} if plain else {}


def _of_metadata(path: Path) -> tuple[list[float], list[float], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            text = " ".join((file.metadata() or {}).values())
    except (SafetensorError, OSError):  # said where the weights are loaded
        return [], [], {}
    found, padding = _MEAN_AND_STD.search(text), _PADDING.search(text)
    mean, std = map(_numbers, found.groups()) if found else ([], [])
    return mean, std, {"pad_type": padding[1]} if padding else {}


def _numbers(text: str) -> list[float]:
    """One number for all channels, or three."""
    values = [float(each) for each in re.findall(r"\d*\.?\d+", text)]
    return values * 3 if len(values) == 1 else values


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | str)


def _is_close(values: list[float], others: tuple[float, ...]) -> bool:
    return len(values) == len(others) and all(
        abs(value - other) < _EQUAL for value, other in zip(values, others, strict=True)
    )
