import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.optim import param_groups_layer_decay
from torch import nn

from visual_taxonomy.config import ModelConfig, OptimizerConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.training.optimizer import (
    build_optimizer,
    learning_rate_factor,
    set_learning_rate,
)

CONFIG = OptimizerConfig(
    pretrained_lr=1e-5,
    pretrained_weight_decay=0.01,
    scratch_lr=1e-3,
    scratch_weight_decay=0.02,
)
Setting = tuple[float, float]


@pytest.fixture
def model(taxonomy) -> Classifier:
    return build_classifier(taxonomy, ModelConfig(backbone="test_vit", image_size=(32, 32)))


def settings_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Setting]:
    """Parameter name -> learning rate and weight decay."""
    by_parameter = {
        parameter: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    named = model.named_parameters()
    return {name: by_parameter[each] for name, each in named if each in by_parameter}


def matching(settings: dict[str, Setting], holds: Callable[[str], bool]) -> set[Setting]:
    found = {setting for name, setting in settings.items() if holds(name)}
    assert found
    return found


def test_every_parameter_is_in_exactly_one_group(model):
    groups = build_optimizer(model, CONFIG).param_groups
    parameters = [parameter for group in groups for parameter in group["params"]]
    assert len(parameters) == len(set(parameters))
    assert set(parameters) == set(model.parameters())


def test_backbone_and_heads_have_rates_and_decays_of_their_own(model):
    settings = settings_of(model, build_optimizer(model, CONFIG))
    assert matching(settings, lambda name: name.endswith("mlp.fc1.weight")) == {(1e-5, 0.01)}
    assert matching(settings, lambda name: name.endswith("patch_embed.proj.weight")) == {
        (1e-5, 0.01)
    }
    assert matching(settings, lambda name: name.startswith("heads.classifiers.weights")) == {
        (1e-3, 0.02)
    }
    assert matching(settings, lambda name: name.startswith("heads.linear.weights")) == {
        (1e-3, 0.02)
    }


def test_norms_biases_class_token_and_position_do_not_decay(model):
    settings = settings_of(model, build_optimizer(model, CONFIG))
    in_heads = {name: each for name, each in settings.items() if name.startswith("heads")}
    in_backbone = {name: each for name, each in settings.items() if name not in in_heads}
    for part in ("norm", "bias"):
        assert matching(in_heads, lambda name, part=part: part in name) == {(1e-3, 0.0)}
    for part in ("norm", "bias", "cls_token", "pos_embed"):
        assert matching(in_backbone, lambda name, part=part: part in name) == {(1e-5, 0.0)}


def test_all_matrices_decay(model):
    settings = settings_of(model, build_optimizer(model, CONFIG))
    shapes = {name: parameter.ndim for name, parameter in model.named_parameters()}
    spared = {name for name, (_, decay) in settings.items() if decay == 0 and shapes[name] > 1}
    assert {name.rsplit(".", 1)[1] for name in spared} <= {"cls_token", "pos_embed"}


def test_a_backbone_with_random_weights_is_a_new_layer(model):
    settings = settings_of(model, build_optimizer(model, CONFIG, pretrained=False))
    assert set(settings.values()) == {(1e-3, 0.02), (1e-3, 0.0)}


def test_frozen_parameters_are_absent(model):
    model.encoder.backbone.requires_grad_(False)
    model.heads.classifiers.weights[0].requires_grad_(False)
    settings = settings_of(model, build_optimizer(model, CONFIG))
    assert all(name.startswith("heads") for name in settings)
    assert "heads.classifiers.weights.0" not in settings
    assert "heads.classifiers.weights.1" in settings


def test_learnt_task_weights_keep_a_rate_of_their_own_without_decay(model):
    learnt = nn.Parameter(torch.zeros(5))
    optimizer = build_optimizer(model, CONFIG, True, [learnt], 0.025)
    group = optimizer.param_groups[-1]
    assert group["params"] == [learnt]
    set_learning_rate(optimizer, 0.5)
    assert (group["lr"], group["weight_decay"]) == (0.025, 0.0)


def test_without_learnt_task_weights_there_is_no_group_for_them(model):
    groups = build_optimizer(model, CONFIG).param_groups
    assert all(group["params"] and group["base_lr"] is not None for group in groups)


def test_a_factor_scales_the_base_rate_however_often(model):
    optimizer = build_optimizer(model, CONFIG)
    for factor in (0.5, 0.1, 0.5):
        set_learning_rate(optimizer, factor)
    assert {group["lr"] for group in optimizer.param_groups} == {5e-6, 5e-4}


def test_a_parameter_without_gradient_does_not_move(model):
    optimizer = build_optimizer(model, CONFIG)
    before = {name: each.clone() for name, each in model.named_parameters()}
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    features = model.encoder(images)
    for _ in range(2):
        output = model.heads(features.detach(), torch.zeros(4, dtype=torch.long), [0])
        output.logits.logsumexp(dim=2).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    moved = {name for name, each in model.named_parameters() if not torch.equal(each, before[name])}
    assert "heads.classifiers.weights.0" in moved
    assert all(name.endswith(".0") and name.startswith("heads") for name in moved)


def test_the_rate_rises_in_a_line_and_falls_as_half_a_cosine():
    factors = [learning_rate_factor(step, 20, 0.2) for step in range(20)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4] == 1.0
    assert factors[12] == pytest.approx(0.5)  # half of the way down
    assert factors[8] == pytest.approx((1 + math.sqrt(0.5)) / 2)  # a quarter
    assert 0 < factors[19] < 0.01


def test_without_warm_up_the_rate_starts_at_the_top():
    assert learning_rate_factor(0, 10, 0.0) == 1.0
    assert learning_rate_factor(5, 10, 0.0) == pytest.approx(0.5)


def test_with_warm_up_alone_the_rate_reaches_the_top_in_the_last_step():
    assert [learning_rate_factor(step, 4, 1.0) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.5, 1.0])
def test_a_run_of_one_step_moves_at_the_full_rate(warm_up):
    assert learning_rate_factor(0, 1, warm_up) == 1.0


@pytest.mark.parametrize("name", ["test_vit", "mobilenetv2_035", "convnext_atto"])
def test_layer_decay_gives_the_rates_of_timm(taxonomy, name):
    model = build_classifier(taxonomy, ModelConfig(backbone=name, image_size=(32, 32)))
    backbone = model.encoder.backbone.model
    optimizer = build_optimizer(model, replace(CONFIG, layer_decay=0.7))
    found = settings_of(backbone, optimizer)
    spared = getattr(backbone, "no_weight_decay", set)()
    expected = param_groups_layer_decay(backbone, 0.01, spared, layer_decay=0.7)
    settings = {
        parameter: (1e-5 * group["lr_scale"], group["weight_decay"])
        for group in expected
        for parameter in group["params"]
    }
    assert len(found) == len(settings) == len(list(backbone.parameters()))
    for name, parameter in backbone.named_parameters():
        assert found[name] == pytest.approx(settings[parameter]), name
    rates = {rate for rate, _ in found.values()}
    assert len(rates) > 3
    in_heads = settings_of(model.heads, optimizer)
    assert {rate for rate, _ in in_heads.values()} == {1e-3}


def test_with_layer_decay_every_parameter_is_in_one_group_and_follows_the_schedule(model):
    model.encoder.backbone.model.patch_embed.requires_grad_(False)
    optimizer = build_optimizer(model, replace(CONFIG, layer_decay=0.5))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(parameters) == len(set(parameters))
    assert set(parameters) == {each for each in model.parameters() if each.requires_grad}
    before = [group["lr"] for group in optimizer.param_groups]
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5 * lr for lr in before]


def test_layer_decay_is_refused_where_the_layers_are_unknown(model, monkeypatch):
    monkeypatch.delattr(type(model.encoder.backbone.model), "group_matcher")
    with pytest.raises(InputError, match=r"`layer_decay` 0\.5: timm does not tell the layers"):
        build_optimizer(model, replace(CONFIG, layer_decay=0.5))


@given(st.integers(1, 400), st.floats(0, 1))
@settings(deadline=None)
def test_the_rate_is_above_0_in_every_step_and_rises_then_falls(total_steps, warm_up):
    factors = [learning_rate_factor(step, total_steps, warm_up) for step in range(total_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    top = factors.index(max(factors))
    assert factors[top] == 1.0
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
