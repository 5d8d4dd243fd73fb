"""A backbone's convolutions, trained faster on a CPU: same weights, same outputs but for rounding.

- A BatchNorm that keeps its statistics only scales and shifts. In training that is done to the
  weights of the convolution before it, which are few, and not to its outputs, which are many.
- Depthwise convolutions with a stride train as `strided_depthwise` says, where it pays.
- Activations in place whose derivative needs their input: torch copies that input for them, so
  writing the output elsewhere costs less.

Without gradients, as in validation and prediction, every layer is what it was.

Shapes: N images, C channels, H x W pixels.
"""

from collections import Counter
from typing import cast

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.layers.padding import get_same_padding
from timm.models import get_notrace_modules
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from visual_taxonomy.model.strided_depthwise import Padding, SpreadGradient, pays


class FastConv2d(nn.Conv2d):
    """A convolution that may take over the BatchNorm behind it and the fast backward pass."""

    norm: "tuple[FoldedNorm, ...]"
    """The BatchNorm it takes over, if any; in a tuple, or it would be a part of the layer."""
    spreads: bool
    """Whether it trains by `SpreadGradient`."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return super().forward(input)
        return self.convolve(input, self._sides(input))

    def convolve(self, images: Tensor, padding: Padding) -> Tensor:
        """The convolution of images [N, C, H, W], scaled and shifted as its BatchNorm would."""
        weight, bias = self.weight, self.bias
        for norm in self.norm:
            if norm.is_folded:
                weight, bias = norm.fold(weight, bias)
        left, right, top, bottom = padding
        if self.spreads and (dtype := _compute_dtype(images)) != torch.float32:
            # torch casts the arguments of its own operations under autocast, but not of a Function.
            cast_bias = None if bias is None else bias.to(dtype)
            return SpreadGradient.apply(
                images.to(dtype), weight.to(dtype), cast_bias, self.stride, padding
            )
        # `F.pad` copies every image, so it is for sides that differ alone.
        if (left, top) == (right, bottom):
            sides = (top, left)
        else:
            images, sides = F.pad(images, padding), (0, 0)
        return F.conv2d(images, weight, bias, self.stride, sides, self.dilation, self.groups)

    def _sides(self, images: Tensor) -> Padding:
        top, left = cast("tuple[int, int]", self.padding)
        return left, left, top, top


class FastConv2dSame(FastConv2d, Conv2dSame):
    """The same for TensorFlow's padding: as much as keeps ceil(H / stride) rows of outputs."""

    @override
    def _sides(self, images: Tensor) -> Padding:
        height, width = (
            get_same_padding(*sizes)
            for sizes in zip(
                images.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True
            )
        )
        return width // 2, width - width // 2, height // 2, height - height // 2


class FoldedNorm(nn.BatchNorm2d):
    """A BatchNorm that the convolution before it does while it keeps its statistics."""

    @property
    def is_folded(self) -> bool:
        """Whether the convolution before it scales and shifts."""
        return not self.training and torch.is_grad_enabled()

    def fold(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weight and bias of a convolution that gives what the two layers give."""
        assert self.running_var is not None
        assert self.running_mean is not None
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        shift = -self.running_mean if bias is None else bias - self.running_mean
        return weight * scale[:, None, None, None], torch.addcmul(self.bias, shift, scale)

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input if self.is_folded else super().forward(input)


class FoldedNormAct(FoldedNorm, BatchNormAct2d):
    """The same with timm's activation behind it."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(input)) if self.is_folded else super().forward(input)


_FAST: dict[type[nn.Module], type[FastConv2d]] = {
    nn.Conv2d: FastConv2d,
    Conv2dSame: FastConv2dSame,
}
_FOLDED: dict[type[nn.Module], type[FoldedNorm]] = {
    nn.BatchNorm2d: FoldedNorm,
    BatchNormAct2d: FoldedNormAct,
}


def speed_up_convolutions(model: nn.Module, dtype: torch.dtype) -> None:
    """Let the convolutions of a model train faster on the CPU.

    Weights, their names, and the outputs in evaluation stay.

    Args:
        model: Changed in place.
        dtype: What its convolutions compute in.

    Example:
        >>> import timm
        >>> model = timm.create_model("mobilenetv2_035")
        >>> speed_up_convolutions(model, torch.float32)
        >>> type(model.bn1).__name__
        'FoldedNormAct'
    """
    norms = norms_behind(model)
    for layer in list(model.modules()):
        if type(layer) in _FAST:
            convolution = cast("nn.Conv2d", layer)
            if convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str):
                _replace(convolution, norms.get(convolution), pays(convolution, dtype))
        elif isinstance(layer, nn.Hardtanh | nn.SiLU | nn.Hardswish):
            layer.inplace = False


def norms_behind(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """Convolution -> the BatchNorm that is all that sees its outputs.

    Read from the graph that torch.fx traces; a model that it cannot trace has none.
    """
    try:
        graph = _LayerTracer().trace(model)
    except Exception:  # it runs the model's own code on symbols, which may raise anything
        return {}
    layers = dict(model.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    found: dict[nn.Module, nn.Module] = {}
    for node in graph.nodes:
        # Exact types: a subclass may do more than scale and shift.
        if node.op != "call_module" or type(layers[node.target]) not in _FOLDED:
            continue
        source = node.args[0]
        if source.op != "call_module" or type(layers[source.target]) not in _FAST:
            continue
        # What is called twice, or seen by another too, would need both outputs.
        is_alone = len(source.users) == calls[node.target] == calls[source.target] == 1
        norm = cast("nn.BatchNorm2d", layers[node.target])
        if is_alone and norm.affine and norm.track_running_stats:
            found[layers[source.target]] = norm
    return found


class _LayerTracer(fx.Tracer):
    """Goes no deeper than convolutions, BatchNorms, and what timm says cannot be traced."""

    @override
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kinds = (nn.Conv2d, _BatchNorm, *get_notrace_modules())
        return isinstance(m, kinds) or super().is_leaf_module(m, module_qualified_name)


def _replace(layer: nn.Conv2d, norm: nn.Module | None, spreads: bool) -> None:
    if norm is None and not spreads:
        return
    # Not a new layer: parameters keep their names, and checkpoints fit.
    layer.__class__ = _FAST[type(layer)]
    fast = cast("FastConv2d", layer)
    fast.spreads, fast.norm = spreads, ()
    if norm is not None:
        norm.__class__ = _FOLDED[type(norm)]
        fast.norm = (cast("FoldedNorm", norm),)


def _compute_dtype(images: Tensor) -> torch.dtype:
    kind = images.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype
