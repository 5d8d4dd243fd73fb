"""What the benchmarks' baselines do as the original system did, and this package does no longer."""

from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import nn

from visual_taxonomy.model.class_token import ClassTokenAttention, ClassTokenBlock


def with_whole_last_block(model: nn.Module) -> None:
    """The last block computes every token again; the model is changed in place."""
    for module in model.modules():
        if type(module) is ClassTokenBlock:
            module.__class__ = Block  # type: ignore[assignment]
        elif type(module) is ClassTokenAttention:
            module.__class__ = Attention  # type: ignore[assignment]
