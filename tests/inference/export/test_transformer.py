"""The exported transformer against timm's own operations."""

from copy import deepcopy

import pytest
import torch
from timm.layers import Attention, LayerNorm, PatchEmbed
from torch import nn

from visual_taxonomy.inference.export.transformer import (
    ExportedAttention,
    ExportedPatches,
    exported_encoder,
)
from visual_taxonomy.model.backbone import create_backbone
from visual_taxonomy.model.class_token import ClassTokenAttention
from visual_taxonomy.model.classifier import Encoder

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 3}


def encoder(name: str = "vit_tiny_patch16_224", size=(48, 32), **parameters: object) -> Encoder:
    """In float64, with weights unlike zero everywhere."""
    small = SMALL if name == "vit_tiny_patch16_224" else {}
    made = Encoder(create_backbone(name, size, {**small, **parameters})).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.3)
    return made


def kinds(module: nn.Module) -> set[type]:
    return {type(part) for part in module.modules()}


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (Attention, {"qkv_bias": True}),
        (Attention, {"qkv_bias": False}),
        (Attention, {"qk_norm": True, "norm_layer": LayerNorm}),
        (Attention, {"scale_norm": True, "norm_layer": LayerNorm}),
        (ClassTokenAttention, {"qkv_bias": True}),
        (ClassTokenAttention, {"qk_norm": True, "norm_layer": LayerNorm}),
    ],
    ids=["bias", "no bias", "norms of queries and keys", "norm behind", "class", "class, norms"],
)
def test_attention_is_that_of_timm(kind, parameters) -> None:
    attention = kind(24, num_heads=3, **parameters).double().eval()
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    tokens = torch.randn(2, 7, 24).double()
    with torch.no_grad():
        found, expected = ExportedAttention(attention)(tokens), attention(tokens)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_attention_leaves_the_original_as_it_was() -> None:
    attention = Attention(8, num_heads=2, qkv_bias=True)
    before = deepcopy(attention.state_dict())
    ExportedAttention(attention)
    for name, value in attention.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("size", [(48, 32), (50, 47)], ids=["whole patches", "a rest is left out"])
@pytest.mark.parametrize("bias", [True, False])
def test_patches_are_those_of_the_convolution_on_normalised_pixels(size, bias) -> None:
    embedding = PatchEmbed(size, 16, embed_dim=24, bias=bias)
    mean, std = (255 * torch.rand(2, 3, 1, 1)).clamp(min=20)
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        expected = embedding((images - mean) / std)
        found = ExportedPatches(embedding, mean, std)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("vit_tiny_patch16_224", {}),
        ("vit_tiny_patch16_224", {"global_pool": "avg", "init_values": 0.1}),
        ("vit_tiny_patch16_224", {"dynamic_img_size": True}),
        ("vit_tiny_patch16_224", {"pre_norm": True, "reg_tokens": 2, "num_classes": 5}),
    ],
    ids=["class token", "average", "any image size", "as CLIP"],
)
def test_features_are_those_of_the_encoder(name, parameters) -> None:
    original = encoder(name, **parameters).float()
    exported = exported_encoder(original)
    assert kinds(exported) >= {ExportedAttention, ExportedPatches}
    assert not kinds(exported) & {Attention, ClassTokenAttention, PatchEmbed}
    images = torch.randint(0, 256, (3, 3, 48, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(exported(images), original(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters", "replaced"),
    [
        ("test_resnet", {}, set()),
        ("vit_tiny_patch16_224", {"dynamic_img_pad": True}, {ExportedAttention}),
        ("vit_tiny_patch16_224", {"attn_layer": "diff"}, {ExportedPatches}),
    ],
    ids=["convnet", "padding", "other attention"],
)
def test_what_is_built_otherwise_keeps_its_own_operations(name, parameters, replaced) -> None:
    original = encoder(name, **parameters).float()
    exported = exported_encoder(original)
    assert kinds(exported) & {ExportedAttention, ExportedPatches} == replaced
    images = torch.randint(0, 256, (2, 3, 48, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(exported(images), original(images), rtol=1e-4, atol=1e-4)
