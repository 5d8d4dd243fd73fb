"""The oracle is torch's own backward pass in float64."""

import pytest
import torch
from torch import nn

from visual_taxonomy.model import strided_depthwise
from visual_taxonomy.model.strided_depthwise import SpreadGradient, measure_gain, pays

LAYER = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4)


@pytest.fixture
def gain(monkeypatch):
    """Sets what was measured on this machine."""

    def be(value):
        monkeypatch.setattr(
            strided_depthwise, "kept_gain", lambda name, key, measure: (value, None)
        )

    return be


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


@pytest.mark.parametrize(("measured", "expected"), [(5.0, True), (1.2, True), (1.1, False)])
def test_it_pays_where_it_was_measured_to_be_clearly_faster(gain, measured, expected):
    gain(measured)
    assert pays(LAYER, torch.bfloat16) == expected


def test_float32_is_never_asked_about(gain):
    gain(5.0)
    assert not pays(LAYER, torch.float32)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),  # no stride
        nn.Conv2d(4, 4, 3, stride=2),  # not depthwise
        nn.Conv2d(4, 8, 3, stride=2, groups=4),  # two outputs a channel
        nn.Conv2d(4, 4, 3, stride=2, groups=4, dilation=2),
    ],
)
def test_other_convolutions_never_pay(gain, layer):
    gain(5.0)
    assert not pays(layer, torch.bfloat16)


def test_the_measurement_is_a_ratio_of_times():
    assert 0 < measure_gain(3, torch.bfloat16) < 1000
