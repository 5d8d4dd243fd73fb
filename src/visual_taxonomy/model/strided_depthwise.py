"""Depthwise convolutions with a stride, whose backward pass a CPU computes with stride 1.

In half precision oneDNN has no fast kernel for the backward pass of a depthwise convolution with
stride 2: four such layers take half of a training step of MobileNetV2. With stride 1 there is one.
The gradient of the outputs, spread over the places that stride 1 would have and zero between
them, has the same gradients of inputs and weights; the forward pass stays as it is, to the bit.

Shapes: N images, C channels, H x W pixels, k kernel size.
"""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visual_taxonomy.processor import kept_gain, machine_key

MIN_GAIN = 1.2
"""How many times as fast the backward pass must be: below it, noise would decide."""

_REPEATS = 5
_SIDE, _CHANNELS, _IMAGES = 40, 96, 8  # as in the second stage of a MobileNet; 10 ms

Padding = tuple[int, int, int, int]
"""Left, right, top, bottom: in the order of `torch.nn.functional.pad`."""


class SpreadGradient(torch.autograd.Function):
    """A strided depthwise convolution; its backward pass is that of stride 1."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it no type
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: Padding,
    ) -> Tensor:
        """[N, C, H', W'] of images [N, C, H, W] and weight [C, 1, k, k]."""
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, bias is not None
        left, right, top, bottom = padding
        if (left, top) == (right, bottom):
            return F.conv2d(images, weight, bias, stride, (top, left), 1, len(weight))
        return F.conv2d(F.pad(images, padding), weight, bias, stride, 0, 1, len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Gradients of images, weight and bias."""
        (gradient,) = gradients
        images, weight = ctx.saved_tensors
        left, right, top, bottom = ctx.padding
        # Stride 1 pads both sides alike; where the sides differ, the outputs begin further in.
        pads = (max(top, bottom), max(left, right))
        sizes = zip(images.shape[2:], pads, weight.shape[2:], strict=True)
        height, width = (pixels + 2 * pad - kernel + 1 for pixels, pad, kernel in sizes)
        # Not torch.zeros, which takes no memory format.
        spread = torch.empty(
            (*gradient.shape[:2], height, width),
            dtype=gradient.dtype,
            memory_format=torch.channels_last,
        ).zero_()
        rows = slice(pads[0] - top, None, ctx.stride[0])
        columns = slice(pads[1] - left, None, ctx.stride[1])
        places = spread[:, :, rows, columns]
        # There may be room for one place more than there are outputs; it stays zero.
        places[:, :, : gradient.shape[2], : gradient.shape[3]] = gradient
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias]
        found = torch.ops.aten.convolution_backward(
            *(spread, images, weight, [len(weight)] if ctx.has_bias else None),
            *([1, 1], list(pads), [1, 1], False, [0, 0], len(weight), wanted),
        )
        return *found, None, None


def pays(layer: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Whether a layer trains clearly faster with `SpreadGradient` on this machine's CPU.

    Float32 is not asked about: its kernels are fast with any stride.

    Args:
        layer: Any convolution.
        dtype: What it computes in.
    """
    if dtype == torch.float32 or not _is_strided_depthwise(layer):
        return False
    kernel = max(layer.kernel_size)
    key = f"{machine_key()}, {kernel}x{kernel}, {dtype}"
    gain, _ = kept_gain("depthwise", key, lambda: measure_gain(kernel, dtype))
    return gain >= MIN_GAIN


def measure_gain(kernel: int, dtype: torch.dtype) -> float:
    """How many times as fast a pass forward and backward is: the median of pairs."""
    shape = (_IMAGES, _CHANNELS, _SIDE, _SIDE)
    images = torch.ones(shape, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.ones((_CHANNELS, 1, kernel, kernel), dtype=dtype, requires_grad=True)
    pad, stride = kernel // 2, (2, 2)

    def usual() -> Tensor:
        return F.conv2d(images, weight, None, stride, pad, 1, _CHANNELS)

    def spread() -> Tensor:
        return SpreadGradient.apply(images, weight, None, stride, (pad,) * 4)

    ratios = []
    for _ in range(1 + _REPEATS):
        # In turn, so that a slow moment of the machine meets both.
        seconds = []
        for convolve in (usual, spread):
            started = time.perf_counter()
            output = convolve()
            output.backward(output.detach())
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return round(statistics.median(ratios[1:]), 3)  # the first pair warms up


def _is_strided_depthwise(layer: nn.Conv2d) -> bool:
    return (
        1 < layer.groups == layer.in_channels == layer.out_channels
        and max(layer.stride) > 1
        and set(layer.dilation) == {1}
    )
