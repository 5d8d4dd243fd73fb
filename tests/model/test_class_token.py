"""The narrow last block against timm's whole one."""

from copy import deepcopy

import pytest
import timm
import torch
from torch import nn

from visual_taxonomy.model.backbone import create_backbone
from visual_taxonomy.model.class_token import narrow_last_block

SMALL = {"img_size": (48, 32), "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 5}


def vit(**parameters: object) -> nn.Module:
    """A small ViT in float64 with weights unlike zero everywhere."""
    model = timm.create_model("vit_tiny_patch16_224", **{**SMALL, **parameters}).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"qkv_bias": False},
        {"qk_norm": True},
        {"init_values": 0.1},
        {"reg_tokens": 3},
        {"pre_norm": True},
    ],
    ids=str,
)
def test_features_and_gradients_are_those_of_the_whole_block(parameters) -> None:
    whole = vit(**parameters)
    narrow = deepcopy(whole)
    assert narrow_last_block(narrow)
    images, weights = torch.randn(3, 3, 48, 32).double(), torch.randn(3, 5).double()
    found, expected = narrow(images), whole(images)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for (name, ours), theirs in zip(narrow.named_parameters(), whole.parameters(), strict=True):
        assert ours.grad is not None, name
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9, msg=name)


def test_the_last_block_gives_one_token_and_works_on_one() -> None:
    model = vit()
    narrow_last_block(model)
    shapes = {}
    for name in ("attn.qkv", "attn.proj", "mlp.fc1"):
        layer = model.get_submodule(f"blocks.1.{name}")
        layer.register_forward_hook(
            lambda _, seen, __, name=name: shapes.update({name: seen[0].shape})
        )
    assert model.forward_features(torch.zeros(2, 3, 48, 32).double()).shape == (2, 1, 24)
    assert shapes == {"attn.proj": (2, 1, 24), "mlp.fc1": (2, 1, 24)}


def test_dropout_of_attention_and_projection_act_in_training_only() -> None:
    model = vit(attn_drop_rate=0.5, proj_drop_rate=0.5)
    narrow_last_block(model)
    attention, tokens = model.blocks[-1].attn, torch.randn(1, 6, 24).double()
    assert torch.equal(attention(tokens), attention(tokens))
    attention.train()
    assert not torch.equal(attention(tokens), attention(tokens))
    attention.proj_drop.p = 0.0
    assert not torch.equal(attention(tokens), attention(tokens))


def test_names_of_the_weights_stay() -> None:
    model = vit()
    names = list(model.state_dict())
    narrow_last_block(model)
    assert list(model.state_dict()) == names


def test_a_copy_of_a_narrow_model_uses_its_own_weights() -> None:
    model = vit()
    narrow_last_block(model)
    copy, images = deepcopy(model), torch.randn(1, 3, 48, 32).double()
    before = copy(images)
    with torch.no_grad():
        model.blocks[-1].attn.qkv.weight.zero_()
    assert torch.equal(copy(images), before)
    assert not torch.allclose(model(images), before)


@pytest.mark.parametrize(
    "parameters",
    [
        {"global_pool": "avg"},
        {"global_pool": "map"},
        {"block_fn": timm.models.vision_transformer.ResPostBlock},
        {"attn_layer": "diff"},
        {"scale_attn_norm": True},
        {"block_fn": timm.models.vision_transformer.ParallelThingsBlock},
    ],
    ids=["average", "attention pooling", "other block", "other attention", "norm", "parallel"],
)
def test_models_that_read_more_or_compute_otherwise_are_left_alone(parameters) -> None:
    model = timm.create_model("vit_tiny_patch16_224", **{**SMALL, **parameters})
    kinds = [type(module) for module in model.modules()]
    assert not narrow_last_block(model)
    assert [type(module) for module in model.modules()] == kinds


def test_backbones_are_narrow_from_the_start() -> None:
    whole = timm.create_model("vit_base_patch32_clip_224", num_classes=512, depth=1).eval()
    backbone = create_backbone("ViT-B-32", parameters={"depth": 1}).eval()
    backbone.model.load_state_dict(whole.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert backbone.model.forward_features(images).shape == (1, 1, 768)
        torch.testing.assert_close(backbone(images), whole(images))
