from itertools import product

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from typing_extensions import override

from visual_taxonomy.config import ModelConfig
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import ONNX, Bundle
from visual_taxonomy.inference.export import onnx_graph
from visual_taxonomy.inference.export.onnx_graph import (
    ExportedClassifier,
    ExportedHeads,
    write_onnx,
)
from visual_taxonomy.model.classifier import Classifier, build_classifier
from visual_taxonomy.model.heads import CategoryHeads

CATEGORIES = torch.tensor([1, 0, 0, 1, 1, 0])


def trained(heads: CategoryHeads) -> CategoryHeads:
    """Parameters and statistics unlike those of a new model."""
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.uniform_(-1, 1)
        if heads.norm is not None:
            heads.norm.running_mean.normal_()
            heads.norm.running_var.uniform_(0.5, 2)
        if heads.classifiers.scale is not None:
            heads.classifiers.scale.fill_(7.0)
    return heads.eval()


@pytest.mark.parametrize(
    ("norm", "linear", "kind", "most_for_all"),
    list(product([True, False], [True, False], ["linear", "cosine"], [1, 16])),
)
def test_exported_heads_give_the_logits_of_the_heads(
    taxonomy, norm, linear, kind, most_for_all, monkeypatch
) -> None:
    monkeypatch.setattr(onnx_graph, "MOST_FOR_ALL", most_for_all)
    heads = trained(CategoryHeads(taxonomy, 8, norm, linear, kind=kind))
    features = torch.randn(6, 8)
    with torch.no_grad():
        expected = heads.by_slot(heads(features, CATEGORIES).logits, CATEGORIES)
        found = ExportedHeads(heads)(features, CATEGORIES)
    assert torch.equal(found.isneginf(), expected.isneginf())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_row_without_image_has_logits_that_are_numbers(taxonomy) -> None:
    heads = ExportedHeads(trained(CategoryHeads(taxonomy, 8)))
    assert not heads(torch.randn(1, 8), torch.tensor([-1])).isnan().any()


def test_half_precision_features_are_computed_on_in_float32(taxonomy) -> None:
    heads = ExportedHeads(trained(CategoryHeads(taxonomy, 8)))
    assert heads(torch.randn(1, 8).bfloat16(), torch.tensor([0])).dtype == torch.float32


def test_the_exported_model_is_the_classifier(checkpoint) -> None:
    classifier = checkpoint.classifier()
    images = torch.randint(0, 256, (6, 3, 32, 48), dtype=torch.uint8)
    with torch.no_grad():
        expected = classifier(images, CATEGORIES)
        found = ExportedClassifier(classifier)(images, CATEGORIES)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_graph_takes_uint8_images_and_categories_in_batches_of_any_size(
    bundle: Bundle,
) -> None:
    model = onnx.load(bundle.folder / ONNX)
    onnx.checker.check_model(model, full_check=True)
    types = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_value or "batch" for dim in value.type.tensor_type.shape.dim],
        )
        for value in [*model.graph.input, *model.graph.output]
    }
    assert types == {
        "images": (onnx.TensorProto.UINT8, ["batch", 3, 32, 48]),
        "categories": (onnx.TensorProto.INT64, ["batch"]),
        "logits": (onnx.TensorProto.FLOAT, ["batch", 3, 3]),
    }


@pytest.mark.parametrize("count", [1, 2, 9])
def test_logits_of_the_graph_are_those_of_torch_to_four_digits(
    bundle: Bundle, checkpoint, count: int
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (count, 3, 32, 48), dtype=np.uint8)
    categories = np.arange(count) % 2
    session = onnxruntime.InferenceSession(bundle.folder / ONNX)
    (found,) = session.run(None, {"images": images, "categories": categories})
    with torch.no_grad():
        expected = checkpoint.classifier()(torch.from_numpy(images), torch.from_numpy(categories))
    assert np.array_equal(np.isneginf(found), expected.isneginf().numpy())
    assert found == pytest.approx(expected.numpy(), abs=1e-4)


def small_classifier(taxonomy, **parameters: object) -> Classifier:
    shape = {"embed_dim": 24, "depth": 1, "num_heads": 3, **parameters}
    config = ModelConfig("vit_tiny_patch16_224", image_size=(32, 32), backbone_parameters=shape)
    return build_classifier(taxonomy, config).eval()


class Unknown(nn.Module):
    """An operation that cannot be exported: its result depends on Python, not on tensors alone."""

    @override
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, : 24 if images.sum().item() > 0 else 23]


def test_a_backbone_that_onnx_cannot_express_is_named(taxonomy, tmp_path) -> None:
    classifier = small_classifier(taxonomy)
    classifier.encoder.backbone.model = Unknown()
    with pytest.raises(InputError, match="backbone vit_tiny_patch16_224 cannot be exported: "):
        write_onnx(classifier, tmp_path / "model.onnx")


def test_a_graph_with_other_logits_is_refused(bundle: Bundle, taxonomy, checkpoint) -> None:
    classifier = checkpoint.classifier()
    with torch.no_grad():
        classifier.heads.classifiers.biases[0].add_(0.01)
    with pytest.raises(InputError, match="logits of its ONNX graph are not those of torch"):
        onnx_graph._check_parity(classifier, bundle.folder / ONNX, 2)
