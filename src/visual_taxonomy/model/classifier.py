"""The whole model: images in, logits of every attribute of their category out.

Shapes: N images, H x W pixels, A slots, C classes of the widest task, D features.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import Backbone, create_backbone
from visual_taxonomy.model.heads import CategoryHeads
from visual_taxonomy.taxonomy import Taxonomy

NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]] | None] = {
    "backbone": None,
    # Published with the weights; others shift every feature and cost accuracy without an error.
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Name -> mean and standard deviation of red, green, blue on the scale 0 to 1."""


class Encoder(nn.Module):
    """From uint8 images to features: normalisation, then the backbone.

    Images are scaled in float32, then take the type of the backbone's weights.

    Args:
        backbone: From normalised images to features.

    Example:
        >>> encoder = Encoder(create_backbone("test_vit"))
        >>> encoder(torch.zeros(2, 3, 160, 160, dtype=torch.uint8)).shape
        torch.Size([2, 64])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        # A convnet's convolutions are up to twice as fast on the CPU with the channels innermost.
        self.backbone = backbone.to(memory_format=torch.channels_last)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(backbone.preprocessing, name))
            # Not saved: they follow from the config, and an old file could contradict it.
            # Times 255, since images are uint8 and one division does both scalings.
            self.register_buffer(name, 255 * values[:, None, None], persistent=False)

    @override
    def forward(self, images: Tensor) -> Tensor:
        weight = next(self.backbone.parameters())
        # In float32: half precision would round twice before the backbone sees a value.
        scaled = (images.float() - self.mean.float()) / self.std.float()
        return self.backbone(scaled.to(weight.dtype, memory_format=torch.channels_last))


class Classifier(nn.Module):
    """Encoder and heads. Called, it predicts; training calls the two in turn.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
        >>> model = build_classifier(taxonomy, ModelConfig(backbone="test_vit")).eval()
        >>> model(torch.zeros(2, 3, 160, 160, dtype=torch.uint8), torch.tensor([0, 0])).shape
        torch.Size([2, 1, 2])
    """

    def __init__(self, encoder: Encoder, heads: CategoryHeads) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads

    @override
    def forward(self, images: Tensor, category: Tensor) -> Tensor:
        """Logits [N, A, C] of images [N, 3, H, W] (uint8) of categories [N].

        Slots that a category does not have, classes that an attribute does not have, and rows of
        category -1 are -inf.
        """
        return self.heads.of_own_category(self.encoder(images), category).logits


def build_classifier(
    taxonomy: Taxonomy, config: ModelConfig, head: Literal["linear", "cosine"] = "linear"
) -> Classifier:
    """A classifier with random weights; it touches neither the network nor any file.

    Args:
        taxonomy: Categories, attributes and classes.
        config: Backbone and heads.
        head: Kind of the classifiers where the config leaves it open (`auto`).

    Raises:
        InputError: The backbone or one of its parameters does not exist, or it has no residual
            branch to drop.
    """
    mean, std = NORMALIZATIONS[config.normalization] or (None, None)
    interpolation = None if config.interpolation == "backbone" else config.interpolation
    make = partial(create_backbone, config.backbone, config.image_size)
    make = partial(make, mean=mean, std=std, interpolation=interpolation)
    if config.drop_path:
        backbone = _dropping_paths(make, config)
    else:
        backbone = make(config.backbone_parameters)
    kind = head if config.head == "auto" else config.head
    heads = CategoryHeads(
        taxonomy, backbone.width, config.batch_norm, config.inter_linear, config.dropout, kind
    )
    return Classifier(Encoder(backbone), heads)


def _dropping_paths(make: Callable[[Mapping[str, Any]], Backbone], config: ModelConfig) -> Backbone:
    """A backbone with stochastic depth.

    Raises:
        InputError: It has no residual branch that timm can drop.
    """
    try:
        backbone = make({**config.backbone_parameters, "drop_path_rate": config.drop_path})
    except InputError as error:
        # Python's words for a constructor without it; any other error is about something else.
        if "unexpected keyword argument 'drop_path_rate'" not in str(error):
            raise
    else:
        # Some models take the parameter and do nothing with it.
        if any(isinstance(each, DropPath) and each.drop_prob for each in backbone.modules()):
            return backbone
    raise InputError(
        f"`drop_path` {config.drop_path}: backbone {config.backbone} has no residual branch that "
        "timm can drop; leave it out"
    )
