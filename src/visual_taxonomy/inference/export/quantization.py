"""Matrix products in 8 bits, calibrated on real images."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from visual_taxonomy.inference.engines.base import ImageBatch
from visual_taxonomy.inference.export.onnx_graph import HEADS

_PRODUCTS = ("MatMul", "Gemm", "Conv")


def quantize(onnx_path: Path, path: Path, batches: Iterable[ImageBatch]) -> None:
    """Write a copy of a graph whose backbone multiplies in 8 bits.

    Static quantisation: the products of activations and constant weights take int8 weights, with
    a scale for each output channel, and uint8 activations, whose range is what the given
    images showed. What lies between them (LayerNorm, softmax, attention scores, activation
    functions) stays in float32, and so do the heads.

    Args:
        onnx_path: A graph of `write_onnx`.
        path: File to write.
        batches: Images to calibrate with; a few hundred are enough.

    References:
        Jacob et al., CVPR 2018, https://arxiv.org/abs/1712.05877.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = _feeds(batches)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.feeds, None)

    model = onnx.load(onnx_path)
    # The exporter has folded constants and written shapes: nothing is left to pre-process.
    add_pre_process_metadata(model)
    with np.errstate(invalid="ignore"):  # the range of logits that are -inf, which is not used
        quantize_static(
            model,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=backbone_products(onnx_path),
            extra_options={"OpTypesToExcludeOutputQuantization": list(_PRODUCTS)},
        )


def backbone_products(onnx_path: Path) -> list[str]:
    """Names of the nodes that multiply by constant weights, those of the heads left out."""
    import onnx

    # Names are enough; the weights may be gigabytes.
    graph = onnx.load(onnx_path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in _PRODUCTS
        # Attention multiplies activations with one another: no constant weights, so not in 8 bits.
        and node.input[1] in constants
        and not node.input[1].startswith(HEADS)
    ]


def _feeds(batches: Iterable[ImageBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield {"images": batch.images, "categories": batch.categories}
