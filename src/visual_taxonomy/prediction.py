"""From a checkpoint and pictures to named labels with probabilities.

Shapes: N pictures, A slots, C classes of the widest task.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from visual_taxonomy.checkpoint import Checkpoint, read_checkpoint
from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.dataset import PictureDataset, batches_in_order, make_loader
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.transforms import evaluation_transform
from visual_taxonomy.device import DTYPES, pick_device, pick_precision
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN

Picture = Path | bytes | Image.Image
_DEFAULTS = InferenceConfig()


class RowScores(NamedTuple):
    """Probabilities of a batch of rows, in the order asked for."""

    rows: np.ndarray
    """[N] numbers of the rows."""
    probabilities: np.ndarray
    """[N, A, C] float32; 0 where there is no picture, slot or class."""
    classes: np.ndarray
    """[N, A] index of the most probable class; -1 without picture or slot."""
    problems: dict[int, str]
    """Row -> why its picture could not be read."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Args:
        category: The product's category, as asked.
        labels: Attribute -> most probable class; empty where the picture could not be read.
        probabilities: Attribute -> class -> probability.
        problem: Why the picture could not be read, if so.
    """

    category: str
    labels: dict[str, str]
    probabilities: dict[str, dict[str, float]]
    problem: str | None = None


class Predictor:
    """A trained model, ready for pictures of any of its categories.

    Args:
        checkpoint: The model.
        config: Batch size, loading processes, precision and device.
    """

    def __init__(self, checkpoint: Checkpoint, config: InferenceConfig = _DEFAULTS) -> None:
        self.config = config
        self.taxonomy = checkpoint.taxonomy
        self.class_counts = checkpoint.class_counts
        self.device = pick_device(config.accelerator)
        self.precision = pick_precision(config.precision, self.device)
        self.model = checkpoint.classifier().to(self.device)
        # Pure half precision, not autocast: no weight is converted twice. The heads stay float32.
        self.model.encoder.backbone.to(DTYPES[self.precision])
        self.image_size = self.model.encoder.backbone.preprocessing.image_size

    @classmethod
    def load(cls, path: Path | str, config: InferenceConfig = _DEFAULTS) -> "Predictor":
        """Load a checkpoint file.

        Raises:
            InputError: It is missing, damaged, or not a checkpoint.
        """
        return cls(read_checkpoint(Path(path)), config)

    def predict(self, pictures: Sequence[Picture], categories: Sequence[str]) -> list[Prediction]:
        """Predict the attributes of N pictures, of mixed categories in one batch.

        Args:
            pictures: [N] paths, encoded bytes, or decoded pictures.
            categories: [N] names of their categories.

        Raises:
            InputError: A category does not exist, or the lengths differ.
        """
        if len(pictures) != len(categories):
            raise InputError(f"{len(pictures)} pictures but {len(categories)} categories")
        indices = np.array([self.taxonomy.category_index(c) for c in categories], dtype=np.int64)
        return [
            self._named(int(indices[row]), scores.probabilities[i], scores.problems.get(int(row)))
            for scores in self.score(pictures.__getitem__, indices)
            for i, row in enumerate(scores.rows)
        ]

    def predict_table(self, table: Table) -> Iterator[RowScores]:
        """Predict every row of a table in order, a batch at a time."""
        return self.score(table.path, table.categories)

    def predict_classes(
        self, table: Table, on_progress: Callable[[int], None] = lambda done: None
    ) -> tuple[np.ndarray, dict[int, str]]:
        """The most probable classes of all rows, [N, A], and the rows without a picture.

        Args:
            table: The rows.
            on_progress: Called with the number of rows done.

        Returns:
            Class indices, -1 where there is no answer; row -> why its picture could not be read.
        """
        classes = np.full_like(table.targets, UNKNOWN)
        problems: dict[int, str] = {}
        for scores in self.predict_table(table):
            classes[scores.rows] = scores.classes
            problems |= scores.problems
            on_progress(int(scores.rows[-1]) + 1)
        return classes, problems

    def score(
        self, picture: Callable[[int], Picture], categories: np.ndarray
    ) -> Iterator[RowScores]:
        """Probabilities of rows 0 ... N - 1, in order, a batch at a time.

        Args:
            picture: Gives the picture of a row; called in the loading processes.
            categories: [N] indices of the rows' categories.
        """
        unlabelled = np.full((len(categories), self.taxonomy.num_slots), UNKNOWN)
        transform = evaluation_transform(self.image_size)
        dataset = PictureDataset(picture, categories, unlabelled, transform, self.image_size)
        batches = batches_in_order(len(categories), self.config.batch_size)
        on_gpu = self.device.type == "cuda"
        for batch in make_loader(dataset, batches, self.config.workers, on_gpu):
            with torch.inference_mode():
                images = batch.images.to(self.device, non_blocking=True)
                logits = self.model(images, batch.categories.to(self.device, non_blocking=True))
                # A slot that a category does not have is -inf throughout: softmax gives NaN there.
                probabilities = logits.softmax(dim=2).nan_to_num(0.0).cpu()
                probabilities[batch.categories < 0] = 0.0
            classes = probabilities.argmax(dim=2)
            missing = probabilities.sum(dim=2) == 0
            yield RowScores(
                batch.rows.numpy(),
                probabilities.numpy(),
                classes.masked_fill(missing, UNKNOWN).numpy(),
                batch.problems,
            )

    def _named(self, category: int, probabilities: np.ndarray, problem: str | None) -> Prediction:
        name = self.taxonomy.categories[category]
        if problem is not None:
            return Prediction(name, {}, {}, problem)
        of_attribute = {}
        for slot, index in enumerate(self.taxonomy.slots[category]):
            task = self.taxonomy.tasks[index]
            scores = probabilities[slot, : len(task.classes)].tolist()
            of_attribute[task.attribute] = dict(zip(task.classes, scores, strict=True))
        labels = {
            name: max(scores, key=scores.__getitem__) for name, scores in of_attribute.items()
        }
        return Prediction(name, labels, of_attribute)
