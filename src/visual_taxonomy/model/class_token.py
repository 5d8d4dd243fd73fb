"""The last block of a vision transformer, computed for the class token alone.

Where the class token is all that is read of the last block, its other tokens need keys and values
but no queries, no projection and no MLP: five sixths of the block's work fall away, forward and
backward, and the features stay what they were.

Shapes: N images, L tokens, D width, H attention heads of width E.
"""

from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override


class ClassTokenAttention(Attention):
    """timm's attention with one query, that of the first token."""

    @override
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # no mask
        """[N, 1, D] of normalised tokens [N, L, D]."""
        width = self.attn_dim
        weight, bias = self.qkv.weight, self.qkv.bias
        query_bias, rest_bias = (None, None) if bias is None else (bias[:width], bias[width:])
        # Slices of the one matrix of timm, so that weights are stored as before.
        query = F.linear(x[:, :1], weight[:width], query_bias)
        rest = F.linear(x, weight[width:], rest_bias)
        query = self.q_norm(query.unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2))
        # [N, L, 2, H, E] -> [N, H, 2, L, E]: keys and values, head by head.
        key, value = rest.unflatten(2, (2, self.num_heads, self.head_dim)).transpose(1, 3).unbind(2)
        dropout = self.attn_drop.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, self.k_norm(key), value, dropout_p=dropout)
        return self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class ClassTokenBlock(Block):
    """timm's block that gives the first token only."""

    @override
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # no mask
        """[N, 1, D] of tokens [N, L, D]."""
        # All tokens are normalised, because keys and values need them; the rest is for the first.
        x = x[:, :1] + self.drop_path1(self.ls1(self.attn(self.norm1(x))))
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))


def narrow_last_block(model: nn.Module) -> bool:
    """Let the last block compute the class token alone, if that is all the model reads of it.

    The weights and their names stay. Models of other kinds are left as they are: another pooling,
    another block or attention, or a gate or norm behind the attention.

    Args:
        model: A timm model; changed in place.

    Returns:
        Whether it was changed.

    Example:
        >>> import timm
        >>> narrow_last_block(timm.create_model("test_vit")), narrow_last_block(nn.Linear(1, 1))
        (True, False)
    """
    # Exact types: a subclass may read other tokens, and would get wrong features in silence.
    if type(model) is not VisionTransformer or model.global_pool != "token" or model.attn_pool:
        return False
    block = model.blocks[-1]
    if type(block) is not Block or type(block.attn) is not Attention:
        return False
    if block.attn.gate is not None or not isinstance(block.attn.norm, nn.Identity):
        return False
    # Not a new block: parameters keep their names, and checkpoints fit.
    block.__class__ = ClassTokenBlock
    block.attn.__class__ = ClassTokenAttention
    return True
