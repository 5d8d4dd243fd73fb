import socket

import pytest
import timm
import torch
from torch import nn

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import (
    BACKBONES,
    Backbone,
    backbone_names,
    create_backbone,
)
from visual_taxonomy.preprocessing import Preprocessing

HALF = (0.5, 0.5, 0.5)
SMALL_VIT = {"embed_dim": 24, "depth": 2, "num_heads": 3}


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "test_efficientnet"])
def test_the_width_is_that_of_the_output(name):
    backbone = create_backbone(name, (96, 64))
    features = backbone(torch.randn(2, 3, 96, 64))
    assert features.shape == (2, backbone.width)
    assert features.requires_grad


def test_vit_b_32_is_the_clip_tower_with_its_projection():
    backbone = create_backbone("vit-b-32")
    assert backbone.name == "ViT-B-32"
    assert backbone.width == 512
    # Patches, class token, positions, ln_pre and ln_post, 12 blocks of width 768, projection; the
    # 87.85 million that open_clip reports for its tower. timm's projection has a bias besides.
    tower = 3 * 32**2 * 768 + 768 + 50 * 768 + 4 * 768 + 12 * (12 * 768**2 + 13 * 768) + 768 * 512
    assert tower == 87_849_216
    assert sum(p.numel() for p in backbone.parameters()) == tower + 512
    assert backbone.preprocessing == Preprocessing(
        (224, 224),
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
        "bicubic",
    )
    assert isinstance(backbone.model.blocks[0].mlp.act, nn.GELU)


def test_vit_l_14_has_768_outputs_and_the_normalisation_of_clip():
    tower = BACKBONES["ViT-L-14"]
    small = {"embed_dim": 32, "depth": 1, "num_heads": 2}
    backbone = create_backbone("ViT-L-14", (28, 28), small)
    assert backbone.width == tower.width == 768
    assert backbone.preprocessing.mean == (0.48145466, 0.4578275, 0.40821073)
    assert timm.models.get_pretrained_cfg(tower.timm_name).num_classes == 768


def test_our_names_come_before_those_of_timm():
    names = backbone_names()
    assert names[:2] == ["ViT-B-32", "ViT-L-14"]
    assert "mobilenetv2_100" in names


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("resnt50", "resnet50"), ("ViT-B32", "ViT-B-32"), ("VITL-14", "ViT-L-14")],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong, nearest):
    with pytest.raises(InputError, match=f"'{wrong}' is neither.*Did you mean '{nearest}'"):
        create_backbone(wrong)


def test_a_hub_name_is_no_backbone_name_so_that_nothing_is_fetched():
    with pytest.raises(InputError, match="nor a timm model"):
        create_backbone("hf-hub:timm/resnet18")


def test_an_unknown_parameter_is_named():
    with pytest.raises(InputError, match=r"test_resnet .*unexpected keyword argument 'colour'"):
        create_backbone("test_resnet", parameters={"colour": 1})


@pytest.mark.parametrize(
    "parameters", [{"num_heads": 7}, {"act_layer": "bogus"}, {"norm_layer": "bogus"}]
)
def test_a_value_timm_refuses_is_an_input_error(parameters):
    with pytest.raises(InputError, match="backbone test_vit with parameters"):
        create_backbone("test_vit", parameters=parameters)


@pytest.mark.parametrize("reserved", ["pretrained", "checkpoint_path", "pretrained_cfg"])
def test_weights_cannot_come_in_through_the_parameters(reserved):
    with pytest.raises(InputError, match=f"'{reserved}' is not accepted.*`pretrained_ckpt`"):
        create_backbone("test_vit", parameters={reserved: "x"})


def test_a_vit_is_built_for_the_image_size_it_is_given():
    backbone = create_backbone("vit_tiny_patch16_224", (96, 64), SMALL_VIT)
    assert backbone.preprocessing.image_size == (96, 64)
    assert backbone.model.pos_embed.shape == (1, 1 + 6 * 4, 24)
    assert backbone(torch.zeros(1, 3, 96, 64)).shape == (1, 24)


@pytest.mark.parametrize("img_size", [64, (64, 64), [64, 64]])
def test_timms_img_size_is_an_image_size(img_size):
    backbone = create_backbone("vit_tiny_patch16_224", None, {**SMALL_VIT, "img_size": img_size})
    assert backbone.preprocessing.image_size == (64, 64)


def test_two_image_sizes_that_disagree_are_refused():
    with pytest.raises(InputError, match=r"\(32, 32\) and parameter img_size=64 disagree"):
        create_backbone("test_vit", (32, 32), {"img_size": 64})


def test_the_parameters_are_left_as_they_were():
    parameters = {"img_size": 32}
    create_backbone("test_vit", parameters=parameters)
    assert parameters == {"img_size": 32}


def test_a_size_that_is_no_multiple_of_the_patches_is_refused():
    with pytest.raises(InputError, match=r"cannot take images of 96x200 pixels.*patch size"):
        create_backbone("test_vit", (96, 200))


def test_a_model_without_pooled_feature_is_refused():
    with pytest.raises(InputError, match="one feature vector per image"):
        create_backbone("test_resnet", parameters={"features_only": True})


def test_mean_and_std_can_be_given():
    known = create_backbone("test_resnet").preprocessing
    given = create_backbone("mobilenetv3_small_050", (64, 48), {}, [0.1, 0.2, 0.3], HALF)
    assert given.preprocessing == Preprocessing((64, 48), (0.1, 0.2, 0.3), HALF, "bicubic")
    assert known.image_size == (160, 160)
    assert known.interpolation == "bilinear"


def test_extra_parameters_reach_timm():
    backbone = create_backbone("mobilenetv2_100", (33, 33), {"pad_type": "same"})
    plain = create_backbone("mobilenetv2_100", (33, 33))
    plain.load_state_dict(backbone.state_dict())
    images = torch.randn(1, 3, 33, 33)
    # "same" pads an odd size in the same place but an even one on the far side only.
    assert not torch.equal(
        backbone.eval()(images[..., :32, :32]), plain.eval()(images[..., :32, :32])
    )


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    create_backbone("test_vit.r160_in1k")


def test_random_weights_repeat_with_the_seed():
    torch.manual_seed(3)
    first = create_backbone("test_resnet")
    torch.manual_seed(3)
    second = create_backbone("test_resnet")
    assert torch.equal(first.model.conv1[0].weight, second.model.conv1[0].weight)


def _with_batch_norm() -> Backbone:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(1))
    return Backbone("tiny", model, Preprocessing((4, 4), HALF, HALF))


def test_measuring_the_width_leaves_statistics_and_mode_alone():
    backbone = _with_batch_norm()
    assert backbone.training
    assert backbone.model[1].num_batches_tracked == 0


def test_frozen_batch_norm_keeps_its_statistics_in_training_and_its_weights_train():
    backbone = _with_batch_norm()
    backbone.hold_statistics()
    norm = backbone.model[1]
    before = norm.running_mean.clone(), norm.running_var.clone()
    images = torch.randn(8, 3, 4, 4)
    trained = backbone.train()(images)
    trained.sum().backward()
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert norm.weight.grad is not None
    torch.testing.assert_close(trained, backbone.eval()(images))


def test_batch_norm_is_only_frozen_on_request():
    backbone = _with_batch_norm()
    backbone(torch.randn(8, 3, 4, 4))
    assert backbone.model[1].num_batches_tracked == 1
    backbone.hold_statistics()
    backbone(torch.randn(8, 3, 4, 4))
    assert backbone.model[1].num_batches_tracked == 1
    backbone.hold_statistics(False)
    assert backbone.model[1].training
