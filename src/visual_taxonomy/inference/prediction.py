"""From a checkpoint or a bundle and images to named labels with probabilities.

Nothing here imports torch: a bundle is run without it.

Shapes: N images, A slots, C classes of the widest task.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from visual_taxonomy.config import InferenceConfig
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.table import Table
from visual_taxonomy.data.views import products_of, starts_of
from visual_taxonomy.decision.decision import Answers, Rule, plain_answers
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.answers import (
    ANSWERED,
    Answer,
    RowScores,
    named_answers,
    tasks_of,
)
from visual_taxonomy.inference.bundle import Bundle, is_bundle, read_bundle
from visual_taxonomy.inference.engines.base import ImageBatch
from visual_taxonomy.inference.engines.choice import check_name, make_engine
from visual_taxonomy.inference.mirroring import averaged
from visual_taxonomy.inference.views import ProductBatch, by_product
from visual_taxonomy.taxonomy import UNKNOWN

if TYPE_CHECKING:
    from visual_taxonomy.checkpoint import Checkpoint

NO_ANSWER = "the model's answer is not a number; use another checkpoint, or precision 32"
"""Why an image that could be read has no label."""

NO_DECISION = (
    "the model carries no decision, so the answers are its most probable classes, with raw "
    "probabilities; fit one on labelled rows with `vtax calibrate`"
)
"""Of files of version 0.1, of the original system, and of runs that have not ended."""

_DEFAULTS = InferenceConfig()


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Args:
        category: The product's category, as asked.
        labels: Attribute -> class, as it can be published: without the attributes whose status is
            `unknown`; empty where the image could not be read.
        probabilities: Attribute -> class -> probability; calibrated, unless the decision is argmax.
        problem: Why the image could not be read, if so.
        answers: Attribute -> class, runner-up, their probabilities and status, of unknown
            attributes too.
    """

    category: str
    labels: dict[str, str]
    probabilities: dict[str, dict[str, float]]
    problem: str | None = None
    answers: dict[str, Answer] = field(default_factory=dict)


class Predictor:
    """A trained model, ready for images of any of its categories.

    Args:
        model: A checkpoint or a bundle.
        config: Engine, batch size, loading processes, precision and device; how a class is chosen
            and which answers are left open.

    Raises:
        InputError: The engine cannot run the model, or is not installed; or a target precision is
            asked of a model without a decision.
    """

    def __init__(self, model: "Checkpoint | Bundle", config: InferenceConfig = _DEFAULTS) -> None:
        self.taxonomy = model.taxonomy
        self.class_counts = model.class_counts
        self.named_columns = model.named_columns
        self.columns = model.columns
        self.decision = model.decision
        """From probabilities to answers; None where the model carries none."""
        self._rule, self._target = config.decision, config.target_precision
        if self.decision is None and self._target is not None:
            raise InputError(f"`target_precision` {self._target}: {NO_DECISION}")
        self.tta = model.model.tta if config.tta == "auto" else config.tta
        """Test-time averaging: none, or flip."""
        self._num_slots = np.array([len(slots) for slots in self.taxonomy.slots])
        self.engine = make_engine(model, config)

    @property
    def rule(self) -> Rule:
        """How a class is chosen."""
        return self._rule

    @property
    def decision_note(self) -> str:
        """Why the answers are the most probable classes though nobody asked for that; or empty."""
        return NO_DECISION if self.decision is None and self._rule == "metric" else ""

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

    def predict(
        self, images: Sequence[ImageSource | Sequence[ImageSource]], categories: Sequence[str]
    ) -> list[Prediction]:
        """Predict the attributes of N images, of mixed categories in one batch.

        Args:
            images: [N] paths, encoded bytes, or decoded images; or a list of these for a product
                of several.
            categories: [N] names of their categories.

        Raises:
            InputError: A category does not exist, or the lengths differ.
        """
        if len(images) != len(categories):
            raise InputError(f"{len(images)} images but {len(categories)} categories")
        indices = np.array([self.taxonomy.category_index(c) for c in categories], dtype=np.int64)
        each = [list(one) if isinstance(one, list | tuple) else [one] for one in images]
        flat = [image for of_product in each for image in of_product]
        products = products_of(starts_of(np.array([len(of) for of in each], dtype=np.int64)))
        several = None if len(flat) == len(each) else products
        image_of = cast("Callable[[int], ImageSource]", flat.__getitem__)
        return [
            answer
            for scores in self.score(image_of, indices, products=several)
            for answer in self._named(indices[scores.rows], scores)
        ]

    def predict_table(self, table: Table, first: int = 0) -> Iterator[RowScores]:
        """Predict the rows of a table from row `first` on, in order, a batch at a time."""
        rest = table.take(np.arange(first, len(table))) if first else table
        for scores in self._score_table(rest):
            # `score` counts from 0, also the rows of a table that is resumed in its middle.
            problems = {row + first: reason for row, reason in scores.problems.items()}
            shift = table.numbers(first)[0] if first else 0
            skipped = {
                row + first: {number + shift: why for number, why in images.items()}
                for row, images in scores.skipped.items()
            }
            yield scores._replace(rows=scores.rows + first, problems=problems, skipped=skipped)

    def _score_table(
        self, table: Table, on_raw: Callable[[np.ndarray], None] | None = None
    ) -> Iterator[RowScores]:
        products = None if table.starts is None else products_of(table.starts)
        return self.score(table.images.image, table.categories, on_raw, products)

    def predict_classes(
        self,
        table: Table,
        on_progress: Callable[[int], None] = lambda done: None,
        on_raw: Callable[[np.ndarray], None] | None = None,
    ) -> tuple[np.ndarray, dict[int, str]]:
        """The classes that are published of all rows, [N, A], and the rows without an image.

        Args:
            table: The rows.
            on_progress: Called with the number of rows done.
            on_raw: As for `score`.

        Returns:
            Class indices, -1 where there is none; row -> why its image could not be read.
        """
        classes = np.full_like(table.targets, UNKNOWN)
        problems: dict[int, str] = {}
        for scores in self._score_table(table, on_raw):
            classes[scores.rows] = scores.published
            problems |= scores.problems
            on_progress(int(scores.rows[-1]) + 1)
        return classes, problems

    def score(
        self,
        image_of: Callable[[int], ImageSource],
        categories: np.ndarray,
        on_raw: Callable[[np.ndarray], None] | None = None,
        products: np.ndarray | None = None,
    ) -> Iterator[RowScores]:
        """Answers of rows 0 ... N - 1, in order, a batch at a time.

        Args:
            image_of: Gives the image of a number; called in the loading processes.
            categories: [N] indices of the rows' categories.
            on_raw: Called with the probabilities of the model of each batch, before any decision:
                [n, A, C], 0 where it has no answer.
            products: [V] the row of each image, rising, where rows have several; None: each row
                has one, of its own number.
        """
        for batch, probabilities in self._by_row(image_of, categories, products):
            answers = self.answer(probabilities, batch.categories)
            if on_raw is not None:
                raw = plain_answers(self.taxonomy, probabilities, batch.categories)
                on_raw(raw.probabilities)
            has_answer = answers.classes != UNKNOWN  # not where the model gave NaN
            # -1 reads the slots of the last category here; such rows are left out in the next
            # line, for they have their reason already.
            slots = np.arange(has_answer.shape[1]) < self._num_slots[batch.categories][:, None]
            silent = (slots & ~has_answer).any(axis=1) & (batch.categories >= 0)
            problems = batch.problems | dict.fromkeys(batch.rows[silent].tolist(), NO_ANSWER)
            yield RowScores(batch.rows, *answers, problems, batch.skipped)

    def _by_row(
        self,
        image_of: Callable[[int], ImageSource],
        categories: np.ndarray,
        products: np.ndarray | None,
    ) -> Iterator[tuple[ProductBatch, np.ndarray]]:
        if products is not None:
            batches = self.engine.batches(image_of, categories[products])
            yield from by_product(self._raw(batches), products, categories)
            return
        for batch, probabilities in self._raw(self.engine.batches(image_of, categories)):
            yield ProductBatch(batch.rows, batch.categories, batch.problems, {}), probabilities

    def _raw(self, batches: Iterable[ImageBatch]) -> Iterator[tuple[ImageBatch, np.ndarray]]:
        if self.tta == "flip":
            return averaged(self.engine.answers, batches)
        return self.engine.answers(batches)

    def answer(self, probabilities: np.ndarray, categories: np.ndarray) -> Answers:
        """What is answered for raw probabilities, by the decision of the config.

        Args:
            probabilities: [N, A, C] softmax of the model.
            categories: [N] category indices, -1 for a row without image.
        """
        plain = self._rule == "argmax" or self.decision is None
        if plain and self._target is None:
            return plain_answers(self.taxonomy, probabilities, categories)
        assert self.decision is not None  # or the target was refused
        answers = self.decision.answer(probabilities, categories, self._rule, self._target)
        if not plain:
            return answers
        # Thresholds were counted on calibrated probabilities, so these say what is unknown; argmax
        # shows the model's own all the same.
        raw = plain_answers(self.taxonomy, probabilities, categories).probabilities
        return answers._replace(probabilities=raw)

    def _named(self, categories: np.ndarray, scores: RowScores) -> Iterator[Prediction]:
        answers = named_answers(self.taxonomy, categories, scores)
        tasks = tasks_of(self.taxonomy)
        for i, of_row in enumerate(answers):
            category = int(categories[i])
            name, problem = (
                self.taxonomy.categories[category],
                scores.problems.get(int(scores.rows[i])),
            )
            if problem is not None:
                yield Prediction(name, {}, {}, problem, of_row)
                continue
            # The arrays are as wide as the widest category and task: zip drops the padding.
            shares = {
                task.attribute: dict(zip(task.classes, values, strict=False))
                for task, values in zip(
                    tasks[category], scores.probabilities[i].tolist(), strict=False
                )
            }
            labels = {
                attribute: answer.label
                for attribute, answer in of_row.items()
                if answer.label is not None and answer.status == ANSWERED
            }
            yield Prediction(name, labels, shares, None, of_row)
