"""A vision transformer in the operations that inference engines run fastest.

The same function of the same weights: patches are products of flattened pixels, with the
normalisation of the image folded into their weights, and queries, keys and values are products
of their own, with the scale of attention folded into the queries. Engines then find attention as
the pattern they have one kernel for, and move no five-dimensional tensors.

Shapes: N images of 3 x height x width, P pixels a side of a patch, L tokens, D width, H
attention heads of width E.
"""

from copy import deepcopy
from typing import Any

import torch
from timm.layers.attention import Attention
from timm.layers.format import Format
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from typing_extensions import override

from visual_taxonomy.model.class_token import ClassTokenAttention
from visual_taxonomy.model.classifier import Encoder


class ExportedAttention(nn.Module):
    """timm's attention in evaluation, or that of the class token, as four products.

    Args:
        attention: Without gate.

    Example:
        >>> attention, tokens = Attention(8, num_heads=2).eval(), torch.randn(2, 5, 8)
        >>> torch.allclose(ExportedAttention(attention)(tokens), attention(tokens), atol=1e-6)
        True
    """

    @torch.no_grad()
    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.one_query = isinstance(attention, ClassTokenAttention)
        self.split = (attention.num_heads, attention.head_dim)
        weights = attention.qkv.weight.chunk(3)
        biases = (None,) * 3 if attention.qkv.bias is None else attention.qkv.bias.chunk(3)
        self.query, self.key, self.value = map(_linear, weights, biases)
        self.q_norm, self.k_norm = attention.q_norm, attention.k_norm
        self.norm, self.proj = attention.norm, attention.proj
        self.scale = attention.scale
        # A norm of the queries divides out whatever scale their weights hold: it must come after.
        if isinstance(attention.q_norm, nn.Identity):
            self.scale = 1.0
            self.query.weight.mul_(attention.scale)
            self.query.bias.mul_(attention.scale)

    @override
    def forward(self, tokens: Tensor, **unused: object) -> Tensor:  # timm's block names a mask
        """[N, L, D], or [N, 1, D] for the class token, of normalised tokens [N, L, D]."""
        query = self._heads(self.query(tokens[:, :1] if self.one_query else tokens))
        key, value = self._heads(self.key(tokens)), self._heads(self.value(tokens))
        query, key = self.q_norm(query), self.k_norm(key)
        if self.scale != 1.0:
            query = query * self.scale
        mixed = (query @ key.transpose(2, 3)).softmax(3) @ value
        return self.proj(self.norm(mixed.transpose(1, 2).flatten(2)))

    def _heads(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(2, self.split).transpose(1, 2)


class ExportedPatches(nn.Module):
    """timm's patch embedding of pixels 0 to 255 as one product.

    Args:
        embedding: Without padding.
        mean: [3, 1, 1] of the pixels.
        std: [3, 1, 1] of the pixels.
    """

    @torch.no_grad()
    def __init__(self, embedding: PatchEmbed, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.patch_size = embedding.patch_size
        # w (x - mean) / std = (w / std) x - (w / std) mean: a weight and a bias.
        weight = embedding.proj.weight / std
        self.proj = _linear(weight.flatten(1), embedding.proj.bias)
        self.proj.bias.sub_((weight * mean).sum((1, 2, 3)))
        self.norm, self.flatten = embedding.norm, embedding.flatten
        self.grid_size = embedding.grid_size  # timm's model asks for it

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Tokens of images [N, 3, height, width] uint8.

        [N, L, D], or [N, rows, columns, D] where the model asks for that.
        """
        height, width = self.patch_size
        rows, columns = images.shape[2] // height, images.shape[3] // width
        # Pixels that fill no patch are left out, as the convolution leaves them out.
        whole = images[:, :, : rows * height, : columns * width]
        patches = whole.unflatten(3, (columns, width)).unflatten(2, (rows, height))
        # [N, 3, rows, P, columns, P] -> [N, rows, columns, 3 P P]
        pixels = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return self.norm(self.proj((pixels.flatten(1, 2) if self.flatten else pixels).float()))


def exported_encoder(encoder: Encoder) -> nn.Module:
    """From images [N, 3, height, width] uint8 to features [N, D].

    Args:
        encoder: In evaluation mode; it stays as it is. What is no vision transformer of timm's,
            or embeds its patches in another way, keeps its own operations there.
    """
    encoder = deepcopy(encoder)
    model = encoder.backbone.model
    # Not isinstance: a subclass may compute something else with the same parts.
    if type(model) is not VisionTransformer:
        return encoder
    for block in model.blocks:
        attention: Any = getattr(block, "attn", None)
        if type(attention) in (Attention, ClassTokenAttention) and attention.gate is None:
            block.attn = ExportedAttention(attention)
    embedding = model.patch_embed
    if type(embedding) is not PatchEmbed or embedding.dynamic_img_pad:
        return encoder
    if not embedding.flatten and embedding.output_fmt is not Format.NHWC:
        return encoder
    model.patch_embed = ExportedPatches(embedding, encoder.mean, encoder.std)
    return model


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    product = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    product.weight.copy_(weight)
    # Always with a bias, into which scale and mean are folded.
    product.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)
    return product
