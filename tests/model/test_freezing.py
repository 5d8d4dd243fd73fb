import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import Backbone, create_backbone
from visual_taxonomy.model.freezing import backbone_parts, freeze, trainable_summary

BLOCKS = 10
NOTHING_ELSE = {"unfreeze_proj": False}


@pytest.fixture
def clip() -> Backbone:
    """A CLIP tower of ten thin blocks with its projection, ln_pre and ln_post."""
    parameters = {"embed_dim": 24, "depth": BLOCKS, "num_heads": 3, "num_classes": 16}
    return create_backbone("ViT-B-32", (64, 64), parameters)


def _trained(backbone: Backbone) -> set[str]:
    return {name for name, p in backbone.model.named_parameters() if p.requires_grad}


def _modules(backbone: Backbone) -> set[str]:
    """First part of each trained name, with the index for blocks."""
    names = (name.split(".") for name in _trained(backbone))
    return {".".join(n[:2]) if n[0] in ("blocks", "layer", "stages") else n[0] for n in names}


def test_by_default_the_last_eight_blocks_ln_post_and_the_projection_train(clip):
    freeze(clip)
    assert _modules(clip) == {f"blocks.{i}" for i in range(2, 10)} | {"norm", "head"}


def test_every_parameter_of_an_unlocked_block_trains(clip):
    freeze(clip, -1, **NOTHING_ELSE)
    names = {f"blocks.9.{name}" for name, _ in clip.model.blocks[9].named_parameters()}
    assert _trained(clip) == names | {"norm.weight", "norm.bias"}


@pytest.mark.parametrize(
    ("flag", "names"),
    [
        ("unfreeze_proj", {"head.weight", "head.bias"}),
        ("unfreeze_cls", {"cls_token"}),
        ("unfreeze_pos", {"pos_embed"}),
        ("unfreeze_top", {"patch_embed.proj.weight", "norm_pre.weight", "norm_pre.bias"}),
    ],
)
def test_each_flag_trains_its_part_and_nothing_else(clip, flag, names):
    freeze(clip, -1, **NOTHING_ELSE)
    without = _trained(clip)
    freeze(clip, -1, **{**NOTHING_ELSE, flag: True})
    assert _trained(clip) - without == names


def test_a_trained_part_has_a_gradient_and_a_frozen_one_has_none(clip):
    freeze(clip, -2, unfreeze_top=True)
    clip(torch.randn(2, 3, 64, 64)).square().sum().backward()
    for name, parameter in clip.model.named_parameters():
        assert (parameter.grad is not None) == (name in _trained(clip)), name


def test_unlock_block_zero_trains_everything(clip):
    freeze(clip, 0, **NOTHING_ELSE)
    assert all(p.requires_grad for p in clip.parameters())


def test_freeze_backbone_trains_nothing_whatever_else_is_said(clip):
    freeze(clip, 0, unfreeze_cls=True, unfreeze_top=True, freeze_backbone=True)
    assert not _trained(clip)
    freeze(clip, 99, freeze_backbone=True)
    assert not _trained(clip)


def test_freezing_again_forgets_what_was_said_before(clip):
    freeze(clip, 0)
    freeze(clip, -1, **NOTHING_ELSE)
    assert _modules(clip) == {"blocks.9", "norm"}


def test_a_positive_index_counts_from_the_front(clip):
    freeze(clip, 7, **NOTHING_ELSE)
    assert _modules(clip) == {"blocks.7", "blocks.8", "blocks.9", "norm"}


@pytest.mark.parametrize("index", [-BLOCKS, -BLOCKS - 1, -99])
def test_an_index_before_the_first_block_means_all_blocks_but_not_the_stem(clip, index):
    freeze(clip, index, **NOTHING_ELSE)
    assert _modules(clip) == {f"blocks.{i}" for i in range(BLOCKS)} | {"norm"}


def test_an_index_past_the_last_block_is_refused(clip):
    with pytest.raises(InputError, match=r"`unlock_block=10`: .* has 10 blocks, 0 to 9"):
        freeze(clip, BLOCKS)


def test_a_part_the_backbone_lacks_is_a_warning():
    backbone = create_backbone("test_resnet")
    with pytest.warns(UserWarning, match="`unfreeze_cls` has no effect: backbone test_resnet"):
        freeze(backbone, -1, unfreeze_cls=True)


def test_stages_of_a_convolutional_network_count_as_blocks():
    backbone = create_backbone("mobilenetv2_100", (32, 32))
    freeze(backbone, -2)
    assert _modules(backbone) == {"blocks.5", "blocks.6", "conv_head", "bn2"}
    freeze(backbone, -1, unfreeze_top=True)
    assert _modules(backbone) == {"blocks.6", "conv_head", "bn2", "conv_stem", "bn1"}


@pytest.mark.parametrize(
    ("name", "count", "followers"),
    [
        ("test_resnet", 4, {"layer4"}),
        ("test_convnext", 4, {"stages.3", "head"}),
        ("test_vit2", 8, {"blocks.7", "fc_norm"}),  # final norm that timm's matcher leaves out
    ],
)
def test_what_follows_the_last_block_trains_with_it(name, count, followers):
    backbone = create_backbone(name)
    freeze(backbone, -1)
    assert trainable_summary(backbone).blocks == count
    assert _modules(backbone) == followers


def test_blocks_told_by_a_function_are_understood():
    parameters = {"embed_dim": 24, "depth": 3, "num_heads": 2}
    backbone = create_backbone("cait_xxs24_224", (32, 32), parameters)
    freeze(backbone, -1)
    assert _modules(backbone) == {"blocks.2", "blocks_token_only", "norm"}


@pytest.mark.parametrize("name", ["test_vit", "test_vit3", "test_convnext", "test_efficientnet"])
def test_every_parameter_is_in_just_one_part(name):
    backbone = create_backbone(name)
    parts = backbone_parts(backbone)
    listed = [*parts.top, *parts.class_token, *parts.position, *parts.projection]
    listed += [p for block in parts.blocks for p in block]
    assert sorted(map(id, listed)) == sorted(map(id, backbone.parameters()))


def test_registers_count_as_class_tokens():
    backbone = create_backbone("test_vit2")
    freeze(backbone, -1, unfreeze_cls=True)
    assert "reg_token" in _trained(backbone)


def test_a_model_whose_blocks_timm_does_not_tell_can_train_whole_or_not_at_all():
    backbone = create_backbone("pit_ti_224")
    with pytest.raises(InputError, match="does not tell the blocks of backbone pit_ti_224"):
        freeze(backbone, -1)
    freeze(backbone, 0)
    summary = trainable_summary(backbone)
    assert summary.trainable_parameters == summary.parameters
    freeze(backbone, freeze_backbone=True)
    assert trainable_summary(backbone).trainable_parameters == 0


def test_the_summary_counts_blocks_and_parameters(clip):
    freeze(clip, -3, **NOTHING_ELSE)
    summary = trainable_summary(clip)
    # A block of width D = 24: 12 D^2 weights, 13 D norms and biases; ln_post: 2 D.
    assert summary.trainable_parameters == 3 * (12 * 24**2 + 13 * 24) + 2 * 24
    assert summary.parameters == sum(p.numel() for p in clip.parameters())
    assert str(summary).startswith("3 of 10 blocks, 21,720 of ")


def test_no_graph_goes_through_the_frozen_front(clip):
    freeze(clip, -3)
    seen = {}
    for i, block in enumerate(clip.model.blocks):
        block.register_forward_hook(lambda _, __, out, i=i: seen.__setitem__(i, out.requires_grad))
    clip(torch.randn(1, 3, 64, 64))
    assert seen == {i: i >= BLOCKS - 3 for i in range(BLOCKS)}


def test_the_frozen_front_stores_no_activations(clip):
    def stored_bytes(index: int) -> int:
        freeze(clip, index, **NOTHING_ELSE)
        own = {p.data_ptr() for p in clip.parameters()}
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            output = clip(torch.randn(4, 3, 64, 64))
        return sum(sizes.values()) if output.requires_grad else 0

    one, two, four = stored_bytes(-1), stored_bytes(-2), stored_bytes(-4)
    assert 0 < one < two < four
    # Each further block stores the same; what does not grow with them is ln_post's share.
    assert four - two == pytest.approx(2 * (two - one), rel=0.01)
    assert one < 1.2 * (two - one)
