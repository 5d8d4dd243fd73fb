"""Backbones from outside: functions that are registered with timm, of a package or your own module.

A checkpoint names its backbone, and reading a checkpoint must never run what its writer chose. So
only functions that somebody has made a model of timm (`@timm.models.register_model`) are called,
and the module must be importable where it is: prediction adds no folder to the search path.
"""

from collections.abc import Callable
from typing import Any

import timm
from timm.models import model_entrypoint
from torch import nn

from visual_taxonomy.errors import InputError
from visual_taxonomy.registry import Registry

MakeModel = Callable[..., nn.Module]
"""As timm calls it: `make(pretrained=False, pretrained_cfg=None, ..., **parameters)`."""


def _check(entry: Any) -> str:  # noqa: ANN401 - whatever the name stands for
    name = getattr(entry, "__name__", "")
    # The very function that is registered: its name alone could be anybody's.
    if callable(entry) and timm.is_model(name) and model_entrypoint(name) is entry:
        return ""
    return "it must be a function with the decorator timm.models.register_model"


_OUTSIDE: dict[str, MakeModel] = {}
BACKBONE_REGISTRY = Registry("backbone", "visual_taxonomy.backbones", _OUTSIDE, _check)
"""Only what comes from outside: our own names and timm's are looked up before."""


def own_timm_name(name: str) -> str | None:
    """Timm's name of a backbone from outside; None for every other name.

    Args:
        name: The name that an installed package gives it, or `module:function`.

    Raises:
        InputError: It cannot be imported or is no model of timm, or timm has one of that name too.

    Example:
        >>> own_timm_name("resnet18") is None
        True
        >>> own_timm_name("timm.models.resnet:resnet18")
        'resnet18'
    """
    # timm's own sources of weights (`hf-hub:owner/model`) are no modules; nothing is fetched here.
    is_address = name.partition(":")[0].replace(".", "").isidentifier() and ":" in name
    if not is_address and not BACKBONE_REGISTRY.is_packaged(name):
        return None
    make = BACKBONE_REGISTRY.find(name)
    if timm.is_model(name) and model_entrypoint(name) is not make:
        raise InputError(
            f"'{name}' names a backbone of timm and one of another package; name that one by its "
            f"module: {make.__module__}:{make.__name__}"
        )
    return make.__name__
