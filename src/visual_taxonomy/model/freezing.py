"""Which parts of a backbone train: `unlock_block`, `unfreeze_*` and `freeze_backbone`.

What is frozen in front of the first trained part costs no memory in training: its parameters ask
for no gradient, nor does the image, so torch keeps none of its activations.
"""

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from timm.models import group_parameters
from torch.nn import Parameter

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import Backbone


@dataclass(frozen=True)
class BackboneParts:
    """The parameters of a backbone by the part of it they belong to, each in one part only.

    Args:
        top: First convolution or patch embedding, and the norm behind it (`conv1`, `ln_pre`).
        class_token: Class token and register tokens.
        position: Position embeddings.
        blocks: Per block, in order. Blocks of a ViT; stages, as timm groups them, of another
            network. The last one takes along what follows it (`ln_post`, a last convolution).
        projection: The linear layer behind the pooled feature; empty where there is none.
    """

    top: tuple[Parameter, ...]
    class_token: tuple[Parameter, ...]
    position: tuple[Parameter, ...]
    blocks: tuple[tuple[Parameter, ...], ...]
    projection: tuple[Parameter, ...]


@dataclass(frozen=True)
class TrainableSummary:
    """How much of a backbone trains.

    Example:
        >>> print(TrainableSummary(2, 12, 1_200, 10_000))
        2 of 12 blocks, 1,200 of 10,000 parameters
    """

    trainable_blocks: int
    blocks: int
    trainable_parameters: int
    parameters: int

    def __str__(self) -> str:
        return (
            f"{self.trainable_blocks} of {self.blocks} blocks, "
            f"{self.trainable_parameters:,} of {self.parameters:,} parameters"
        )


def backbone_parts(backbone: Backbone) -> BackboneParts:
    """Sort the parameters of a backbone into its parts.

    Raises:
        InputError: timm does not group the layers of this model.

    Example:
        >>> from visual_taxonomy.model.backbone import create_backbone
        >>> parts = backbone_parts(create_backbone("test_vit"))
        >>> len(parts.blocks), len(parts.class_token), len(parts.projection)
        (6, 1, 0)
    """
    model = backbone.model
    if not hasattr(model, "group_matcher"):
        raise InputError(
            f"timm does not tell the blocks of backbone {backbone.name}; give `unlock_block=0` or "
            "`freeze_backbone`"
        )
    matcher = model.group_matcher(coarse=True)
    follows = _follower_test(matcher)
    parameters = dict(model.named_parameters())
    projection = {name for name, p in parameters.items() if _is_in_head(backbone, p)}
    # timm numbers the groups from the input on: 0 is the stem, what no pattern names comes last.
    groups = group_parameters(model, matcher)
    stem, *stages = ([name for name in groups[i] if name not in projection] for i in sorted(groups))
    if len(stages) > 1 and stages[-1] and all(map(follows, stages[-1])):
        stages[-2:] = [stages[-2] + stages[-1]]
    blocks = [names for names in stages if names]
    class_token = [name for name in stem if re.search(r"(^|\.)(cls|reg|dist)_token$", name)]
    position = [name for name in stem if re.search(r"(^|\.)pos_embed", name)]
    top = [name for name in stem if name not in {*class_token, *position}]

    def select(names: Iterable[str]) -> tuple[Parameter, ...]:
        return tuple(parameters[name] for name in names)

    return BackboneParts(
        top=select(top),
        class_token=select(class_token),
        position=select(position),
        blocks=tuple(map(select, blocks)),
        projection=select(name for name in parameters if name in projection),
    )


def freeze(
    backbone: Backbone,
    unlock_block: int = -8,
    unfreeze_proj: bool = True,
    unfreeze_cls: bool = False,
    unfreeze_pos: bool = False,
    unfreeze_top: bool = False,
    freeze_backbone: bool = False,
) -> None:
    """Set `requires_grad` of every parameter of a backbone as the flags of training say.

    Args:
        backbone: Changed in place.
        unlock_block: Blocks from this index on train, and what follows the last one (`ln_post`);
            -8 means the last eight, or all where there are fewer. 0 trains everything, whatever
            the flags below say.
        unfreeze_proj: Train the projection.
        unfreeze_cls: Train class and register tokens.
        unfreeze_pos: Train position embeddings.
        unfreeze_top: Train the first convolution and the norm behind it (`conv1`, `ln_pre`).
        freeze_backbone: Train nothing, whatever the other flags say.

    Raises:
        InputError: `unlock_block` is past the last block, so no block would train; or timm does
            not group the layers of this model.

    Warns:
        UserWarning: A part to unfreeze does not exist in this backbone.

    Example:
        >>> from visual_taxonomy.model.backbone import create_backbone
        >>> backbone = create_backbone("test_vit")
        >>> freeze(backbone, unlock_block=-2)
        >>> print(trainable_summary(backbone))
        2 of 6 blocks, 83,584 of 306,240 parameters
    """
    # First everything one way, then parts the other: no flag depends on an earlier call.
    backbone.requires_grad_(unlock_block == 0 and not freeze_backbone)
    if unlock_block == 0 or freeze_backbone:
        return
    parts = backbone_parts(backbone)
    if unlock_block >= len(parts.blocks):
        raise InputError(
            f"`unlock_block={unlock_block}`: backbone {backbone.name} has {len(parts.blocks)} "
            f"blocks, 0 to {len(parts.blocks) - 1}, so none would train; to train none on "
            "purpose, give `freeze_backbone`"
        )
    for block in parts.blocks[unlock_block:]:
        _train(block)
    if unfreeze_proj:
        _train(parts.projection)
    flags = {
        "unfreeze_cls": (unfreeze_cls, parts.class_token),
        "unfreeze_pos": (unfreeze_pos, parts.position),
        "unfreeze_top": (unfreeze_top, parts.top),
    }
    for flag, (given, parameters) in flags.items():
        if given and not parameters:
            warnings.warn(
                f"`{flag}` has no effect: backbone {backbone.name} has no such part", stacklevel=2
            )
        if given:
            _train(parameters)


def trainable_summary(backbone: Backbone) -> TrainableSummary:
    """Count what trains; a block counts when any of its parameters does.

    A model whose layers timm does not group has 0 blocks here.
    """
    blocks = backbone_parts(backbone).blocks if hasattr(backbone.model, "group_matcher") else ()
    return TrainableSummary(
        sum(any(p.requires_grad for p in block) for block in blocks),
        len(blocks),
        sum(p.numel() for p in backbone.parameters() if p.requires_grad),
        sum(p.numel() for p in backbone.parameters()),
    )


def _train(parameters: tuple[Parameter, ...]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(True)


def _is_in_head(backbone: Backbone, parameter: Parameter) -> bool:
    heads = backbone.model.get_classifier()
    heads = heads if isinstance(heads, tuple) else (heads,)
    return any(parameter is other for head in heads for other in head.parameters())


def _follower_test(matcher: Mapping[str, Any] | Callable[[str], Any]) -> Callable[[str], bool]:
    """Tells whether a parameter lies behind all blocks: timm's matcher puts it in no group."""
    if not isinstance(matcher, Mapping):
        return lambda name: matcher(name) in (math.inf, (math.inf,))
    patterns = [
        re.compile(pattern if isinstance(pattern, str) else pattern[0])
        for spec in matcher.values()
        for pattern in ([spec] if isinstance(spec, str) else spec)
    ]
    return lambda name: not any(pattern.match(name) for pattern in patterns)
