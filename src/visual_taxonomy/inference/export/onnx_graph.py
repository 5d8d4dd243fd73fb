"""The model as an ONNX graph, checked against torch, and as OpenVINO's own format.

Shapes: N images, K categories, A slots, C classes of the widest task, D features, H hidden
width; X outputs of a layer; images are 3 x height x width.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.export.transformer import exported_encoder
from visual_taxonomy.model.classifier import Classifier
from visual_taxonomy.model.heads import CategoryHeads

HEADS = "heads"
"""The constants of the heads have names that start so; they stay in float32 in 8 bits too."""

TOLERANCE = 1e-3
"""Most by which a logit of the graph may differ from torch's, beside as much of its size."""

MOST_FOR_ALL = 16
"""Categories up to which the heads of all are computed for every row, in one product of constants;
from about there on, an engine is faster if each row picks the weights of its own."""


class ExportedHeads(nn.Module):
    """The heads of a trained model as plain products, for every category at once.

    `CategoryHeads` stacks its parameters at each call; here they are stacked once, by category and
    slot, and BatchNorm is a scale and a shift. -inf as the bias of a class or slot that does not
    exist makes its logit -inf.

    Args:
        heads: Of a model in evaluation mode.

    Example:
        >>> from visual_taxonomy.taxonomy import Taxonomy
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"], "color": ["red"]}})
        >>> heads = CategoryHeads(taxonomy, in_features=8).eval()
        >>> ExportedHeads(heads)(torch.zeros(1, 8), torch.tensor([0]))[0, 1, 1]
        tensor(-inf)
    """

    scale: Tensor
    shift: Tensor

    @torch.no_grad()
    def __init__(self, heads: CategoryHeads) -> None:
        super().__init__()
        self.has_norm = heads.norm is not None
        self.is_cosine = heads.classifiers.scale is not None
        if heads.norm is not None:
            norm = heads.norm
            scale = torch.stack(list(norm.weights)) * torch.rsqrt(norm.running_var + norm.eps)
            self.register_buffer("scale", scale)
            shift = torch.stack(list(norm.biases)) - norm.running_mean * scale
            self.register_buffer("shift", shift)
        self.linear: OwnLinear | None = None
        if heads.linear is not None:
            weights, biases = torch.stack(list(heads.linear.weights)), list(heads.linear.biases)
            self.linear = OwnLinear(weights, torch.stack(biases))
        weight, bias = _by_slot(heads)
        self.shape = bias.shape[1:]
        self.classifiers = OwnLinear(weight.flatten(1, 2), bias.flatten(1))

    @override
    def forward(self, features: Tensor, category: Tensor) -> Tensor:
        """Logits [N, A, C] of features [N, D] of categories [N]."""
        # -1, a row without image, takes any category: its answer is ignored.
        category = category.clamp(min=0)
        hidden = features.float()
        if self.has_norm:
            hidden = hidden * self.scale[category] + self.shift[category]
        if self.linear is not None:
            hidden = F.relu(self.linear(hidden, category))
        if self.is_cosine:
            hidden = F.normalize(hidden, dim=1)
        return self.classifiers(hidden, category).unflatten(1, self.shape)


class OwnLinear(nn.Module):
    """A linear layer of the row's category, in operations that ONNX has.

    With few categories every row is multiplied by the weights of all, of which its own part is
    picked: one product of constants, the fastest that engines have. With many, a row picks the
    weights of its category first: its work does not grow with their number.

    Args:
        weight: [K, X, H].
        bias: [K, X].

    Example:
        >>> layer = OwnLinear(torch.tensor([[[1.0]], [[2.0]]]), torch.zeros(2, 1))
        >>> layer(torch.ones(3, 1), torch.tensor([0, 1, 1])).flatten()
        tensor([1., 2., 2.])
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.num_categories = len(weight)
        self.picks_weights = len(weight) > MOST_FOR_ALL
        if not self.picks_weights:
            weight, bias = weight.flatten(0, 1).T.clone(), bias.flatten()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @override
    def forward(self, hidden: Tensor, category: Tensor) -> Tensor:
        """[N, X] of hidden values [N, H] of categories [N]."""
        if self.picks_weights:
            of_row = self.weight[category] @ hidden[:, :, None]
            return of_row[:, :, 0] + self.bias[category]
        of_all = (hidden @ self.weight + self.bias).unflatten(1, (self.num_categories, -1))
        index = category[:, None, None].expand(-1, 1, of_all.shape[2])
        return of_all.gather(1, index)[:, 0]


class ExportedClassifier(nn.Module):
    """Images and categories in, logits out, as `Classifier`, in operations that ONNX has."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.encoder = exported_encoder(classifier.encoder)
        self.heads = ExportedHeads(classifier.heads)

    @override
    def forward(self, images: Tensor, categories: Tensor) -> Tensor:
        """Logits [N, A, C] of images [N, 3, height, width] uint8 of categories [N] int64."""
        return self.heads(self.encoder(images), categories)


def write_onnx(classifier: Classifier, path: Path) -> None:
    """Write the graph `images`, `categories` -> `logits`, for batches of any size.

    Normalisation is inside; categories may be mixed in a batch. The written graph is run on
    noise, and its logits are compared with those of torch.

    Args:
        classifier: In evaluation mode, on the CPU, in float32.
        path: File to write.

    Raises:
        InputError: The backbone has an operation that ONNX does not, or the logits differ.
    """
    name = classifier.encoder.backbone.name
    num_categories = classifier.heads.slots.shape[0]
    # Two images: torch.export takes a size of 1 for a constant.
    examples = _examples(classifier.encoder.backbone.preprocessing.image_size, 2, num_categories)
    batch = torch.export.Dim("batch", min=1, max=2**16)
    shapes = {"images": {0: batch}, "categories": {0: batch}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about itself
        try:
            program = torch.export.export(
                ExportedClassifier(classifier), examples, dynamic_shapes=shapes, strict=False
            )
            exported = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(shapes),
                output_names=["logits"],
                verbose=False,
            )
        except Exception as error:  # the exporter fails in many ways of its own
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(f"backbone {name} cannot be exported: {reason[0]}") from error
    if exported is None:
        raise AssertionError("torch.onnx.export(dynamo=True) returns a program")
    exported.save(path)
    _check_parity(classifier, path, num_categories)


def write_openvino(onnx_path: Path, path: Path) -> None:
    """Convert an ONNX graph to OpenVINO's format (.xml, and .bin beside it), in its precision."""
    import openvino

    # Unless told otherwise it stores the weights in 16 bits.
    openvino.save_model(openvino.Core().read_model(onnx_path), path, compress_to_fp16=False)


def _by_slot(heads: CategoryHeads) -> tuple[Tensor, Tensor]:
    """[K, A, C, H] weights and [K, A, C] biases of the classifiers."""
    classifiers = heads.classifiers
    num_categories, num_slots = heads.slots.shape
    hidden = classifiers.weights[0].shape[1]
    widest = classifiers.absent.shape[1]
    weight = torch.zeros(num_categories, num_slots, widest, hidden)
    bias = torch.full((num_categories, num_slots, widest), -torch.inf)
    for k, a in (~heads.no_slot).nonzero().tolist():
        task = int(heads.slots[k, a])
        own = classifiers.weights[task]
        if classifiers.scale is not None:
            own = classifiers.scale * F.normalize(own, dim=1)
        weight[k, a, : len(own)] = own
        bias[k, a, : len(own)] = 0 if classifiers.scale is not None else classifiers.biases[task]
    return weight, bias


def _examples(
    image_size: tuple[int, int], num_images: int, num_categories: int
) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (num_images, 3, *image_size), dtype=np.uint8)
    return torch.from_numpy(images), torch.arange(num_images) % num_categories


def _check_parity(classifier: Classifier, path: Path, num_categories: int) -> None:
    import onnxruntime

    backbone = classifier.encoder.backbone
    # Another number of images than in the export, to find a batch size that was taken for fixed.
    images, categories = _examples(backbone.preprocessing.image_size, 3, num_categories)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images.numpy(), "categories": categories.numpy()})
    with torch.inference_mode():
        expected = classifier(images, categories).numpy()
    if not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise InputError(
            f"backbone {backbone.name} cannot be exported: the logits of its ONNX graph are not "
            "those of torch"
        )
