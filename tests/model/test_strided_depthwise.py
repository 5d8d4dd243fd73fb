"""The oracle is torch's own backward pass, in float64 and in bfloat16."""

import copy

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import nn

from visual_taxonomy.model import strided_depthwise
from visual_taxonomy.model.strided_depthwise import (
    SpreadGradient,
    StridedDepthwise,
    StridedDepthwiseSame,
    measure_gain,
    speed_up_strided_depthwise,
)


@pytest.fixture(autouse=True)
def pays(monkeypatch):
    """A machine where the fast backward pass pays; set another gain for one where it does not."""
    monkeypatch.setattr(strided_depthwise, "kept_gain", lambda name, key, measure: (2.0, None))


@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 12), (5, 7)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1), (1, 2, 0, 1)])
def test_gradients_are_those_of_torch_for_every_stride_kernel_size_and_padding(
    padding, size, kernel, stride
):
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    padded = nn.functional.pad(images, padding)
    expected = nn.functional.conv2d(padded, weight, bias, stride, groups=3)
    found = SpreadGradient.apply(images, weight, bias, stride, padding)
    assert torch.equal(found, expected)
    upstream = torch.randn_like(expected)
    inputs = (images, weight, bias)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "name", ["mobilenetv2_035", "tf_efficientnetv2_b0", "mobilenetv3_small_050"]
)
def test_a_model_gives_the_same_outputs_and_gradients(name):
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=0).eval().to(memory_format=torch.channels_last)
    fast = copy.deepcopy(plain)
    assert speed_up_strided_depthwise(fast, torch.bfloat16) > 0
    assert fast.state_dict().keys() == plain.state_dict().keys()
    images = torch.randn(2, 3, 64, 48)
    gradients = []
    for model in (plain, fast):
        with torch.autocast("cpu", torch.bfloat16):
            output = model(images)
        output.float().square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain(images), fast(images))
    for ours, theirs in zip(*gradients, strict=True):
        if theirs is not None:
            # The sums are taken in another order, and rounded to bfloat16 between layers.
            assert (ours - theirs).norm() <= 0.02 * theirs.norm() + 1e-12


def test_float32_is_left_as_it_is():
    model = timm.create_model("mobilenetv2_035")
    assert speed_up_strided_depthwise(model, torch.float32) == 0


def test_a_changed_layer_in_float32_or_without_gradients_is_torchs_own():
    layer = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4)
    same = Conv2dSame(4, 4, 3, stride=2, groups=4)
    images = torch.randn(1, 4, 9, 9)
    expected = layer(images), same(images)
    model = nn.Sequential(layer, same)
    assert speed_up_strided_depthwise(model, torch.bfloat16) == 2
    assert (type(layer), type(same)) == (StridedDepthwise, StridedDepthwiseSame)
    assert torch.equal(layer(images), expected[0])
    assert torch.equal(same(images), expected[1])
    assert "SpreadGradient" not in type(layer(images).grad_fn).__name__


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # no stride
        nn.Conv2d(4, 4, 3, stride=2),  # not depthwise
        nn.Conv2d(4, 8, 3, stride=2, groups=4),  # two outputs a channel
        nn.Conv2d(4, 4, 3, stride=2, groups=4, dilation=2),
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, padding_mode="reflect"),
    ],
)
def test_other_convolutions_are_left_as_they_are(layer):
    assert speed_up_strided_depthwise(nn.Sequential(layer), torch.bfloat16) == 0


def test_a_processor_on_which_it_does_not_pay_keeps_the_usual_layers(monkeypatch):
    monkeypatch.setattr(strided_depthwise, "kept_gain", lambda name, key, measure: (1.1, None))
    assert speed_up_strided_depthwise(timm.create_model("mobilenetv2_035"), torch.bfloat16) == 0


def test_the_measurement_is_a_ratio_of_times():
    assert 0 < measure_gain(3, torch.bfloat16) < 1000
