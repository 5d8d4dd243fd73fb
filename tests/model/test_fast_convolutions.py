"""The oracle is the model as timm made it: outputs, gradients, weights and running statistics."""

import copy

import pytest
import timm
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from visual_taxonomy.model import fast_convolutions
from visual_taxonomy.model.fast_convolutions import norms_behind, speed_up_convolutions
from visual_taxonomy.model.strided_depthwise import SpreadGradient

NAMES = ["mobilenetv2_035", "tf_efficientnetv2_b0", "mobilenetv3_small_050", "resnet18"]


@pytest.fixture(autouse=True)
def spread_everywhere(monkeypatch):
    """As on a machine where the fast backward pass of strided depthwise layers pays."""

    def pays(layer, dtype):
        return dtype != torch.float32 and 1 < layer.groups == layer.in_channels != layer.stride[0]

    monkeypatch.setattr(fast_convolutions, "pays", pays)


def frozen_pair(name, dtype):
    """A model with lively BatchNorms that keep their statistics, and the same made fast."""
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=0).to(memory_format=torch.channels_last)
    for layer in plain.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            layer.eval()
    fast = copy.deepcopy(plain)
    speed_up_convolutions(fast, dtype)
    return plain, fast


def outputs_and_gradients(model, images):
    output = model(images)
    output.square().mean().backward()
    return output.detach(), {
        name: p.grad for name, p in model.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_those_of_the_plain_model(name):
    plain, fast = (model.double() for model in frozen_pair(name, torch.bfloat16))
    images = torch.randn(2, 3, 64, 48, dtype=torch.float64)
    expected, expected_gradients = outputs_and_gradients(plain, images)
    output, gradients = outputs_and_gradients(fast, images)
    torch.testing.assert_close(output, expected)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_is_as_near_to_float64_as_the_plain_model(name):
    plain, fast = frozen_pair(name, torch.bfloat16)
    images = torch.randn(4, 3, 64, 48)
    exact, exact_gradients = outputs_and_gradients(copy.deepcopy(plain).double(), images.double())
    errors = []
    for model in (plain, fast):
        with torch.autocast("cpu", torch.bfloat16):
            output, gradients = outputs_and_gradients(model, images)
        pairs = [(output, exact), *((gradients[n], g) for n, g in exact_gradients.items())]
        errors.append(sum(float((ours - g).norm() / g.norm()) for ours, g in pairs) / len(pairs))
    assert errors[1] < 1.25 * errors[0]


def test_without_gradients_the_answers_are_the_same_to_the_bit():
    plain, fast = frozen_pair("mobilenetv2_035", torch.bfloat16)
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        assert torch.equal(fast(images), plain(images))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(fast(images), plain(images))


def test_names_of_weights_stay_and_copies_are_independent():
    plain, fast = frozen_pair("mobilenetv2_035", torch.bfloat16)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    again = copy.deepcopy(fast)
    with torch.no_grad():
        again.bn1.weight.zero_()
    assert again.conv_stem.norm[0] is again.bn1
    images = torch.randn(1, 3, 64, 48)
    torch.testing.assert_close(fast(images), plain(images), rtol=1e-3, atol=1e-4)


def test_a_norm_that_learns_its_statistics_is_not_folded():
    plain, fast = frozen_pair("mobilenetv2_035", torch.float32)
    images = torch.randn(8, 3, 64, 48)
    assert torch.equal(fast.train()(images), plain.train()(images))
    assert torch.equal(fast.bn1.running_mean, plain.bn1.running_mean)


def test_only_convolutions_whose_outputs_the_norm_alone_sees_are_folded():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.shared_norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.twice, self.twice_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.plain, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.rigid, self.without_weights = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)

        def forward(self, x):
            x = self.shared(x)
            x = x + self.shared_norm(x)
            x = self.twice_norm(self.twice(self.twice_norm(self.twice(x))))
            return self.without_weights(self.rigid(self.norm(self.plain(x))))

    block = Block()
    assert norms_behind(block) == {block.plain: block.norm}


def test_a_model_that_cannot_be_traced_keeps_its_norms():
    class Choosy(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    model = Choosy(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert norms_behind(model) == {}
    speed_up_convolutions(model, torch.bfloat16)
    assert type(model[0]) is nn.Conv2d


def test_a_vision_transformer_is_left_as_it_is():
    plain = timm.create_model("test_vit", num_classes=0)
    fast = copy.deepcopy(plain)
    speed_up_convolutions(fast, torch.bfloat16)
    assert [type(a) for a in fast.modules()] == [type(a) for a in plain.modules()]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same", groups=4),
    ],
)
def test_paddings_of_other_kinds_are_left_as_they_are(layer):
    speed_up_convolutions(nn.Sequential(layer, nn.BatchNorm2d(4)), torch.bfloat16)
    assert type(layer) is nn.Conv2d


@pytest.mark.parametrize("convolution", [nn.Conv2d, Conv2dSame])
def test_a_strided_depthwise_layer_spreads_its_gradient_in_half_precision_only(convolution):
    layer = convolution(4, 4, 3, stride=2, groups=4)
    images = torch.randn(1, 4, 9, 9)
    expected = layer(images)
    speed_up_convolutions(nn.Sequential(layer), torch.bfloat16)
    assert torch.equal(layer(images), expected)
    assert SpreadGradient.__name__ not in layer(images).grad_fn.name()
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(images)
    assert output.dtype == torch.bfloat16
    assert SpreadGradient.__name__ in output.grad_fn.name()
