from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from torch import nn

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.inference.bundle import ONNX, Bundle
from visual_taxonomy.inference.engines.base import ImageBatch
from visual_taxonomy.inference.export.onnx_graph import write_onnx
from visual_taxonomy.inference.export.quantization import backbone_products, quantize
from visual_taxonomy.model.classifier import build_classifier

BLOCKS = 6
PRODUCTS_A_BLOCK = 6  # queries, keys, values, projection, two of the perceptron
PATCHES = 1


def batches(count: int) -> Iterator[ImageBatch]:
    random = np.random.default_rng(0)
    for _ in range(count):
        images = random.integers(0, 256, (4, 3, 32, 48), dtype=np.uint8)
        yield ImageBatch(np.arange(4), images, np.array([0, 1, 1, -1]), {})


@pytest.fixture(scope="module")
def quantized(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantize(bundle.folder / ONNX, path, batches(3))
    return path


def test_products_of_the_backbone_are_found_and_those_of_the_heads_left_out(bundle: Bundle) -> None:
    names = backbone_products(bundle.folder / ONNX)
    assert len(names) == BLOCKS * PRODUCTS_A_BLOCK + PATCHES
    nodes = {node.name: node for node in onnx.load(bundle.folder / ONNX).graph.node}
    heads = {name for name in nodes for value in nodes[name].input if value.startswith("heads")}
    assert heads
    assert not heads & set(names)


def test_weights_are_int8_with_a_scale_for_each_channel(quantized: Path) -> None:
    model = onnx.load(quantized)
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }
    weights = [
        (constants[node.input[0]], constants[node.input[1]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in constants
        and constants[node.input[0]].ndim > 1
    ]
    assert len(weights) == BLOCKS * PRODUCTS_A_BLOCK + PATCHES
    for weight, scale in weights:
        assert weight.dtype == np.int8
        assert scale.size == weight.shape[1]


def test_convolutions_are_products_too(taxonomy, tmp_path: Path) -> None:
    config = ModelConfig("test_resnet", image_size=(32, 48))
    classifier = build_classifier(taxonomy, config).eval()
    write_onnx(classifier, tmp_path / "float.onnx")
    convolutions = sum(isinstance(part, nn.Conv2d) for part in classifier.modules())
    assert len(backbone_products(tmp_path / "float.onnx")) == convolutions
    quantize(tmp_path / "float.onnx", tmp_path / "int8.onnx", batches(2))
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    rounded = {n.output[0] for n in nodes if n.op_type == "DequantizeLinear"}
    found = [n for n in nodes if n.op_type == "Conv" and {*n.input[:2]} <= rounded]
    assert len(found) == convolutions


def test_only_the_inputs_of_products_are_rounded(quantized: Path) -> None:
    """Neither LayerNorm, softmax and attention scores, nor the heads.

    The slice takes the class token from the rounded input of the products for keys and values.
    """
    graph = onnx.load(quantized).graph
    rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    consumers = {node.op_type for node in graph.node for value in node.input if value in rounded}
    assert consumers == {"MatMul", "Slice"}
    heads = [node for node in graph.node if any(v.startswith("heads") for v in node.input)]
    assert heads
    assert not any(value in rounded for node in heads for value in node.input)


def test_logits_stay_close_and_what_does_not_exist_stays_away(
    bundle: Bundle, quantized: Path
) -> None:
    (batch,) = batches(1)
    feeds = {"images": batch.images, "categories": batch.categories}
    (expected,) = onnxruntime.InferenceSession(bundle.folder / ONNX).run(None, feeds)
    (found,) = onnxruntime.InferenceSession(quantized).run(None, feeds)
    assert np.array_equal(np.isneginf(found), np.isneginf(expected))
    exists = np.isfinite(expected)
    assert found[exists] == pytest.approx(expected[exists], abs=0.1)
    assert not np.allclose(found[exists], expected[exists], atol=1e-6)
