"""Run a checkpoint, or the weights of a bundle, with torch.

Shapes: as in `inference/engines/base.py`.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from safetensors.torch import load_file
from typing_extensions import override

from visual_taxonomy.checkpoint import Checkpoint, check_finite
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.cores import available_cores
from visual_taxonomy.data.dataset import ImageDataset, batches_in_order, make_loader
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.device import DTYPES, explain_precision, pick_device, pick_precision
from visual_taxonomy.inference.bundle import WEIGHTS, Bundle
from visual_taxonomy.inference.engines.base import Engine, ImageBatch
from visual_taxonomy.taxonomy import UNKNOWN

GPU_BATCH = 64
CPU_BATCH = 32


class TorchEngine(Engine):
    """A checkpoint on the best device, its backbone in the precision that is fastest there.

    Args:
        model: A checkpoint, or a bundle that holds weights.
        config: Batch size, loading processes, precision and device.
    """

    name = "torch"

    def __init__(self, model: Checkpoint | Bundle, config: InferenceConfig) -> None:
        checkpoint = checkpoint_of(model) if isinstance(model, Bundle) else model
        self.device = pick_device(config.accelerator)
        self.precision = pick_precision(config.precision, self.device)
        self.precision_note = explain_precision(config.precision, self.device)
        self.model = checkpoint.classifier().to(self.device)
        # Pure half precision, not autocast: no weight is converted twice. The heads stay float32.
        self.model.encoder.backbone.to(DTYPES[self.precision])
        self.preprocessing = self.model.encoder.backbone.preprocessing
        self.image_size = self.preprocessing.image_size
        self.num_slots = checkpoint.taxonomy.num_slots
        self.batch_size = config.batch_size or (
            CPU_BATCH if self.device.type == "cpu" else GPU_BATCH
        )
        self.workers = min(config.workers, available_cores())

    @override
    def batches(
        self, image_of: Callable[[int], ImageSource], categories: np.ndarray
    ) -> Iterator[ImageBatch]:
        # The dataset of training is used as it is, so images are loaded in the same way; it wants
        # labels.
        unlabelled = np.full((len(categories), self.num_slots), UNKNOWN)
        transform = evaluation_transform(self.image_size, self.preprocessing.interpolation)
        dataset = ImageDataset(image_of, categories, unlabelled, transform, self.image_size)
        draws = batches_in_order(len(categories), self.batch_size)
        for batch in make_loader(dataset, draws, self.workers, self.device.type == "cuda"):
            yield ImageBatch(
                batch.rows.numpy(), batch.images.numpy(), batch.categories.numpy(), batch.problems
            )

    @override
    def probabilities(self, images: np.ndarray, categories: np.ndarray) -> np.ndarray:
        # Not no_grad: inference_mode also skips the version counters of tensors.
        with torch.inference_mode():
            pixels = torch.from_numpy(images).to(self.device, non_blocking=True)
            logits = self.model(pixels, torch.from_numpy(categories).to(self.device))
            # A slot that a category does not have is -inf throughout: softmax gives NaN there.
            # NaN of a broken model becomes 0 too, which the decision takes for no answer.
            return logits.softmax(dim=2).nan_to_num(0.0).cpu().numpy()


def checkpoint_of(bundle: Bundle) -> Checkpoint:
    """The checkpoint that a bundle with weights was made from, without its training state.

    Raises:
        InputError: A weight is not a finite number.
    """
    weights = load_file(bundle.folder / WEIGHTS)
    check_finite(bundle.folder / WEIGHTS, weights)
    return Checkpoint(
        bundle.taxonomy,
        bundle.model,
        weights,
        bundle.source["epoch"],
        bundle.source["metrics"],
        bundle.class_counts,
        named_columns=bundle.named_columns,
        columns=bundle.columns,
        decision=bundle.decision,
        decision_figures=bundle.decision_figures,
        source=str(bundle.folder / WEIGHTS),
    )
