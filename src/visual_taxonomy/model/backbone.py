"""The backbone: any timm model by name, and the two CLIP towers under the names of open_clip.

Shapes: N images, H x W pixels, D features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.class_token import narrow_last_block
from visual_taxonomy.model.own_backbone import own_timm_name
from visual_taxonomy.preprocessing import Preprocessing

GCL_URL = "https://marqo-gcl-public.s3.us-west-2.amazonaws.com/v1"
"""Where the GCL checkpoints (CLIP adapted to ten million shop products) are published."""


@dataclass(frozen=True)
class ClipTower:
    """A CLIP image tower with its projection, and the GCL checkpoint made for it.

    The open_clip models `ViT-B-32` and `ViT-L-14`, from which the GCL files were trained, use
    plain GELU: their configuration has no `quick_gelu`, and both GCL's own demo and the original
    system open the files with it. timm's towers of the same architecture (`..._clip_224`, not
    `..._clip_quickgelu_224`) are therefore the same function of the same weights.

    References:
        mlfoundations/open_clip, src/open_clip/model_configs/ViT-B-32.json and ViT-L-14.json;
        marqo-ai/GCL, README.md section 5 and scripts/eval-vitb32-pretrain.sh (its starting point
        is laion2b_s34b_b79k, which is plain GELU too).
    """

    timm_name: str
    """timm's name; the tag behind the dot gives the normalisation, and the weights of `timm`."""

    width: int
    """D, the outputs of the projection."""

    file_name: str
    """The published GCL checkpoint, below `GCL_URL`."""

    sha256: str | None = None
    """Its checksum where one is known; none is published."""


BACKBONES: dict[str, ClipTower] = {
    "ViT-B-32": ClipTower(
        "vit_base_patch32_clip_224.datacompxl", 512, "marqo-gcl-vitb32-127-gs-full_states.pt"
    ),
    "ViT-L-14": ClipTower(
        "vit_large_patch14_clip_224.datacompxl", 768, "marqo-gcl-vitl14-124-gs-full_states.pt"
    ),
}
"""Our names; every other name is timm's."""

# Arguments of timm.create_model that would fetch or unpickle weights behind our back.
_RESERVED = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path")


class Backbone(nn.Module):
    """An image model that knows its feature width and the preprocessing it expects.

    Args:
        name: The name it was asked for by.
        model: A timm model that gives one feature vector an image.
        preprocessing: Image size and normalisation.

    Raises:
        InputError: The model cannot take images of that size, or does not give [N, D].

    Example:
        >>> backbone = create_backbone("test_vit")
        >>> backbone(torch.zeros(2, 3, 160, 160)).shape[1] == backbone.width
        True
    """

    name: str
    model: Any
    """A timm model; which attributes it has depends on which one it is."""

    width: int
    """D, measured by a forward pass of one black image."""

    def __init__(self, name: str, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.name = name
        self.model = model
        self.preprocessing = preprocessing
        self._freeze_batch_norm = False
        self.width = self._measure_width()

    @property
    def freeze_batch_norm(self) -> bool:
        """Whether BatchNorm layers keep their running statistics, in training too.

        True once pretrained weights were loaded. A file may have BatchNorm folded into its
        convolutions (running mean 0 and variance 1 then say "do nothing"): normalising by the
        batch would undo the weights, and a running average of batches would spoil the statistics
        for evaluation. It is right for ordinary files as well: batches of one category have
        other statistics than the mixture. Weight and bias of the layers may still train.
        """
        return self._freeze_batch_norm

    def hold_statistics(self, frozen: bool = True) -> None:
        """Set `freeze_batch_norm`, with effect at once."""
        self._freeze_batch_norm = frozen
        self.train(self.training)

    @override
    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self._freeze_batch_norm:
            # train() has just switched them on; they are held after every call of it.
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Features [N, D] of normalised images [N, 3, H, W]."""
        return self.model(images)

    def _measure_width(self) -> int:
        height, width = self.preprocessing.image_size
        # In training mode BatchNorm would move its statistics, and may refuse a single image.
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                # Measured: timm's num_features is not the width behind every pooling or projection.
                features = self.model(torch.zeros(1, 3, height, width))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise InputError(
                f"backbone {self.name} cannot take images of {height}x{width} pixels: {error}"
            ) from error
        finally:
            self.train(training)
        if not isinstance(features, Tensor) or features.ndim != 2:
            raise InputError(f"backbone {self.name} does not return one feature vector per image")
        return features.shape[1]


def backbone_names() -> list[str]:
    """All names `create_backbone` knows: ours first, then timm's."""
    return [*BACKBONES, *timm.list_models()]


def create_backbone(
    name: str,
    image_size: tuple[int, int] | None = None,
    parameters: Mapping[str, Any] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
) -> Backbone:
    """A backbone with random weights; touches neither the network nor any file.

    Args:
        name: `ViT-B-32`, `ViT-L-14`, a timm name, with a tag ("name.tag") or without, the name
            that an installed package gives its own, or `module:function` of one that is
            registered with timm.
        image_size: (H, W) in pixels; None: the size the model was published for. A model with
            position embeddings is built for this size, others take any.
        parameters: Further keyword arguments of `timm.create_model`, such as
            `{"pad_type": "same"}`, `{"drop_path_rate": 0.1}` or `{"depth": 4}`. `num_classes` is
            the width of a projection behind the pooled feature; without it there is none, except
            in our CLIP towers.
        mean: Channel means in place of those timm knows.
        std: Channel standard deviations, likewise.
        interpolation: Filter of the resizing, likewise.

    Raises:
        InputError: The name or a parameter does not exist, or the model cannot have that size.

    Example:
        >>> small = create_backbone(
        ...     "vit_tiny_patch16_224", (64, 48), {"embed_dim": 48, "depth": 2, "num_heads": 3}
        ... )
        >>> small.width, small.preprocessing.image_size
        (48, (64, 48))
    """
    # Ours in any case, as in every table; timm's names are all lower case.
    name = {ours.casefold(): ours for ours in BACKBONES}.get(name.casefold(), name)
    tower = BACKBONES.get(name)
    timm_name = tower.timm_name if tower else own_timm_name(name) or name
    if not timm.is_model(timm_name):
        raise _unknown_backbone(name)
    # CLIP towers have a projection in place of a classifier; all others give features alone (0).
    arguments: dict[str, Any] = {"num_classes": tower.width if tower else 0, **(parameters or {})}
    size = _resolve_size(name, image_size, arguments)
    model = _create_model(name, timm_name, size, arguments)
    narrow_last_block(model)
    config = resolve_model_data_config(model)
    height, width = size or config["input_size"][-2:]
    preprocessing = Preprocessing(
        (height, width),
        tuple(mean or config["mean"]),
        tuple(std or config["std"]),
        interpolation or config["interpolation"],
    )
    return Backbone(name, model, preprocessing)


def _unknown_backbone(name: str) -> InputError:
    known = {entry.casefold(): entry for entry in backbone_names()}
    near = get_close_matches(name.casefold(), known, n=1)
    hint = f" Did you mean '{known[near[0]]}'?" if near else ""
    ours = ", ".join(BACKBONES)
    return InputError(
        f"backbone '{name}' is neither one of ours ({ours}) nor a timm model.{hint} "
        "`vtax list backbones` shows all; name your own as MODULE:FUNCTION."
    )


def _resolve_size(
    name: str, image_size: tuple[int, int] | None, arguments: dict[str, Any]
) -> tuple[int, int] | None:
    """Take timm's `img_size` out of the arguments: it is an image size like any other."""
    given = arguments.pop("img_size", None)
    if given is None:
        return image_size
    size = (given, given) if isinstance(given, int) else tuple(given)
    if image_size is not None and size != tuple(image_size):
        raise InputError(
            f"backbone {name}: image size {tuple(image_size)} and parameter img_size={given} "
            "disagree; give one of them"
        )
    return size


def _create_model(
    name: str, timm_name: str, size: tuple[int, int] | None, arguments: dict[str, Any]
) -> nn.Module:
    for reserved in _RESERVED:
        if reserved in arguments:
            raise InputError(
                f"backbone {name}: parameter '{reserved}' is not accepted here; weights are "
                "loaded with `pretrained_ckpt`"
            )
    try:
        # Only models with a fixed size take img_size; others would refuse the argument.
        native = get_pretrained_cfg(timm_name)
        if size and native and native.fixed_input_size and size != tuple(native.input_size[-2:]):
            arguments["img_size"] = size
        return timm.create_model(timm_name, pretrained=False, **arguments)
    # timm's constructors refuse what they do not know by any of these.
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, AssertionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"backbone {name} with parameters {arguments}: {reason}") from error
