import pytest
import timm
import torch
from timm.layers import DropPath
from torch import Tensor

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import create_backbone
from visual_taxonomy.model.classifier import NORMALIZATIONS, Classifier, Encoder, build_classifier

SIZE = (32, 48)


def config(**changes: object) -> ModelConfig:
    return ModelConfig(**{"backbone": "test_vit", "image_size": SIZE, **changes})


def noise(num_images: int) -> Tensor:
    return torch.randint(0, 256, (num_images, 3, *SIZE), dtype=torch.uint8)


def seen_by_backbone(encoder: Encoder, images: Tensor) -> Tensor:
    """What the encoder passes on to its backbone."""
    seen = []
    encoder.backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    encoder(images)
    return seen[0]


def test_images_are_normalised_by_mean_and_standard_deviation():
    """By hand: red (255 / 255 - 0.5) / 0.25 = 2, green (0 - 0.1) / 0.5 = -0.2, blue 0."""
    backbone = create_backbone("test_vit", SIZE, mean=(0.5, 0.1, 0.2), std=(0.25, 0.5, 1.0))
    images = torch.tensor([255, 0, 51], dtype=torch.uint8)[None, :, None, None].expand(1, 3, *SIZE)
    seen = seen_by_backbone(Encoder(backbone), images)
    assert seen.dtype == torch.float32
    expected = torch.tensor([2.0, -0.2, 0.0])[None, :, None, None].expand(1, 3, *SIZE)
    assert torch.allclose(seen, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "white"),
    [
        ("inception", (1.0, 1.0, 1.0)),
        ("imagenet", (2.2489, 2.4286, 2.6400)),  # torchvision's constants: (1 - 0.485) / 0.229 ...
        ("clip", (1.9303, 2.0749, 2.1459)),  # open_clip's: (1 - 0.48145466) / 0.26862954 ...
    ],
)
def test_a_preset_takes_the_place_of_the_backbones_normalisation(taxonomy, name, white):
    encoder = build_classifier(taxonomy, config(normalization=name)).encoder
    seen = seen_by_backbone(encoder, torch.full((1, 3, *SIZE), 255, dtype=torch.uint8))
    assert torch.allclose(seen[0, :, 0, 0], torch.tensor(white), atol=2e-4)


def test_without_a_preset_the_backbone_decides(taxonomy):
    encoder = build_classifier(taxonomy, config(normalization="backbone")).encoder
    preprocessing = create_backbone("test_vit", SIZE).preprocessing
    assert encoder.backbone.preprocessing == preprocessing
    assert torch.allclose(encoder.mean.flatten() / 255, torch.tensor(preprocessing.mean))


def test_every_preset_of_the_config_exists():
    hint = ModelConfig.__dataclass_fields__["normalization"].type
    assert set(hint.__args__) == set(NORMALIZATIONS)


def test_images_are_scaled_before_they_are_rounded_to_half_precision(taxonomy):
    encoder = build_classifier(taxonomy, config(normalization="inception")).encoder
    encoder.backbone.to(torch.bfloat16)
    images = torch.full((1, 3, *SIZE), 127, dtype=torch.uint8)
    seen = seen_by_backbone(encoder, images)
    assert seen.dtype == torch.bfloat16
    assert torch.equal(seen[0, :, 0, 0], torch.full((3,), -1 / 255).bfloat16())


def test_normalisation_is_no_weight(taxonomy):
    names = build_classifier(taxonomy, config()).state_dict()
    assert not [name for name in names if name.startswith(("encoder.mean", "encoder.std"))]


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_batch_of_mixed_categories_equals_one_image_at_a_time(taxonomy, kind):
    model = build_classifier(taxonomy, config(head=kind)).eval()
    images, categories = noise(5), torch.tensor([1, 0, 0, 1, 0])
    with torch.no_grad():
        together = model(images, categories)
        alone = [model(images[i : i + 1], categories[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_slots_and_classes_that_do_not_exist_are_minus_infinity(taxonomy):
    logits = build_classifier(taxonomy, config()).eval()(noise(2), torch.tensor([0, 1]))
    assert logits.shape == (2, 3, 3)
    existing = torch.tensor(
        [[[1, 1, 1], [1, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 1, 1], [1, 0, 0]]]
    ).bool()
    assert torch.equal(logits.isfinite(), existing)
    assert (logits[~existing] == -torch.inf).all()


def test_cosine_heads_give_cosines_times_the_scale_that_a_checkpoint_holds(taxonomy):
    model = build_classifier(taxonomy, config(), head="cosine").eval()
    weights = model.state_dict()
    weights["heads.classifiers.scale"].fill_(7.0)
    model.load_state_dict(weights)
    assert model.heads.classifiers.kind == "cosine"
    logits = model(noise(4), torch.tensor([0, 1, 0, 1]))
    assert logits[logits.isfinite()].abs().max() <= 7 + 1e-5


@pytest.mark.parametrize(
    ("of_config", "of_loss", "kind"),
    [
        ("auto", "cosine", "cosine"),
        ("auto", "linear", "linear"),
        ("linear", "cosine", "linear"),
        ("cosine", "linear", "cosine"),
    ],
)
def test_the_config_decides_the_kind_of_head_before_the_loss(taxonomy, of_config, of_loss, kind):
    model = build_classifier(taxonomy, config(head=of_config), of_loss)
    assert model.heads.classifiers.kind == kind


def test_the_heads_are_as_the_config_says(taxonomy):
    bare = build_classifier(taxonomy, config(batch_norm=False, inter_linear=False))
    assert bare.heads.norm is None
    assert bare.heads.linear is None
    whole = build_classifier(taxonomy, config(dropout=0.25))
    assert whole.heads.dropout.p == 0.25


def test_parameters_of_the_backbone_reach_it(taxonomy):
    model = build_classifier(taxonomy, config(backbone_parameters={"depth": 1}))
    assert isinstance(model, Classifier)
    assert len(model.encoder.backbone.model.blocks) == 1


def test_a_backbone_that_does_not_exist_is_refused(taxonomy):
    with pytest.raises(InputError, match="backbone 'test_vitt' is neither"):
        build_classifier(taxonomy, config(backbone="test_vitt"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "bicubic"),
        ({"interpolation": "backbone"}, "bilinear"),
        ({"interpolation": "lanczos"}, "lanczos"),
    ],
)
def test_images_are_resized_bicubic_unless_the_config_says_otherwise(
    taxonomy, changes, expected
) -> None:
    given = config(backbone="test_resnet", **changes)  # which timm lists as bilinear
    backbone = build_classifier(taxonomy, given).encoder.backbone
    assert backbone.preprocessing.interpolation == expected


@pytest.mark.parametrize("name", ["test_vit", "mobilenetv2_035", "test_convnext"])
def test_drop_path_is_the_drop_path_rate_of_timm(taxonomy, name):
    config = ModelConfig(name, image_size=(32, 32), drop_path=0.2)
    found = build_classifier(taxonomy, config).encoder.backbone.model
    expected = timm.create_model(name, drop_path_rate=0.2)
    rates = [
        [each.drop_prob for each in model.modules() if isinstance(each, DropPath)]
        for model in (found, expected)
    ]
    assert rates[0] == rates[1]
    assert max(rates[0]) == pytest.approx(0.2, abs=0.05)


def test_drop_path_is_refused_where_there_is_nothing_to_drop(taxonomy):
    message = r"`drop_path` 0\.2: backbone vgg11 has no residual branch that timm can drop"
    with pytest.raises(InputError, match=message):
        build_classifier(taxonomy, ModelConfig("vgg11", image_size=(32, 32), drop_path=0.2))
    with pytest.raises(InputError, match="backbone 'no_net' is neither"):
        build_classifier(taxonomy, ModelConfig("no_net", drop_path=0.2))
    empty = {"drop_path": 0.2, "backbone_parameters": {"depth": 1}}
    with pytest.raises(InputError, match="backbone test_vit has no residual branch"):
        build_classifier(taxonomy, ModelConfig("test_vit", image_size=(32, 32), **empty))


def test_drop_path_changes_no_prediction(taxonomy):
    model = build_classifier(taxonomy, ModelConfig("test_vit", image_size=(32, 32), drop_path=0.5))
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    plain = build_classifier(taxonomy, ModelConfig("test_vit", image_size=(32, 32)))
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model.eval().encoder(images), plain.eval().encoder(images))
    assert not torch.equal(model.train().encoder(images), plain.train().encoder(images))
