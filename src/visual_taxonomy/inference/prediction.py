"""From a checkpoint or a bundle and pictures to named labels with probabilities.

Nothing here imports torch: a bundle is run without it.

Shapes: N pictures, A slots, C classes of the widest task.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import Bundle, is_bundle, read_bundle
from visual_taxonomy.inference.engines.base import Picture
from visual_taxonomy.inference.engines.choice import check_name, make_engine
from visual_taxonomy.taxonomy import UNKNOWN

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint

NO_ANSWER = "the model's answer is not a number; use another checkpoint, or --precision 32"
"""Why a picture that could be read has no label."""

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
    """Row -> why its picture could not be read, or has no answer."""


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
        model: A checkpoint or a bundle.
        config: Engine, batch size, loading processes, precision and device.

    Raises:
        InputError: The engine cannot run the model, or is not installed.
    """

    def __init__(self, model: "Checkpoint | Bundle", config: InferenceConfig = _DEFAULTS) -> None:
        self.taxonomy = model.taxonomy
        self.class_counts = model.class_counts
        self.named_columns = model.named_columns
        self._num_slots = np.array([len(slots) for slots in self.taxonomy.slots])
        self.engine = make_engine(model, config)

    @classmethod
    def load(
        cls,
        path: Path | str,
        config: InferenceConfig = _DEFAULTS,
        attributes_config: Path | None = None,
    ) -> "Predictor":
        """Load a checkpoint file or a bundle folder.

        Args:
            path: The file or folder.
            config: How to run it.
            attributes_config: The taxonomy as JSON: of a checkpoint of the original system, which
                carries none; of others it must be their own.

        Raises:
            InputError: It is missing, damaged, or neither; or the taxonomy does not fit.
        """
        check_name(config)
        path = Path(path)
        if is_bundle(path):
            bundle = read_bundle(path)
            if attributes_config is not None:
                bundle.taxonomy.check_same(attributes_config, path)
            return cls(bundle, config)
        if path.is_dir():
            raise InputError(f"{path}: neither a checkpoint file nor a bundle of `vtax export`")
        if not find_spec("torch"):
            raise InputError(
                f"{path}: a checkpoint needs torch (pip install visual-taxonomy); without it "
                "predict from a bundle, made by `vtax export` where there is torch"
            )
        from visual_taxonomy.checkpoint import read_model

        return cls(read_model(path, attributes_config), config)

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

    def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
        """Predict the rows of a table from row `first` on, in order, a batch at a time."""
        rest = table.take(np.arange(first, len(table))) if first else table
        for scores in self.score(rest.path, rest.categories):
            problems = {row + first: reason for row, reason in scores.problems.items()}
            yield scores._replace(rows=scores.rows + first, problems=problems)

    def predict_classes(
        self,
        table: Table,
        on_progress: Callable[[int], None] = lambda done: None,
        on_scores: Callable[[RowScores], None] = lambda scores: None,
    ) -> tuple[np.ndarray, dict[int, str]]:
        """The most probable classes of all rows, [N, A], and the rows without a picture.

        Args:
            table: The rows.
            on_progress: Called with the number of rows done.
            on_scores: Called with the probabilities of each batch.

        Returns:
            Class indices, -1 where there is no answer; row -> why its picture could not be read.
        """
        classes = np.full_like(table.targets, UNKNOWN)
        problems: dict[int, str] = {}
        for scores in self.predict_table(table):
            classes[scores.rows] = scores.classes
            problems |= scores.problems
            on_scores(scores)
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
        for batch, probabilities in self.engine.answers(self.engine.batches(picture, categories)):
            probabilities[batch.categories < 0] = 0.0
            has_answer = probabilities.sum(axis=2) > 0  # not where the model gave NaN
            probabilities[~has_answer] = 0.0
            classes = probabilities.argmax(axis=2)
            classes[~has_answer] = UNKNOWN
            slots = np.arange(classes.shape[1]) < self._num_slots[batch.categories][:, None]
            silent = (slots & ~has_answer).any(axis=1) & (batch.categories >= 0)
            problems = batch.problems | dict.fromkeys(batch.rows[silent].tolist(), NO_ANSWER)
            yield RowScores(batch.rows, probabilities, classes, problems)

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
