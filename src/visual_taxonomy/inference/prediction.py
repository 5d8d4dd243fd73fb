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
from visual_taxonomy.decision.decision import Answers, Decision, Rule, plain_answers
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
from visual_taxonomy.witnesses.combination import IMAGE, Witnesses

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
        self.witnesses: Witnesses | None = model.witnesses
        """What it answers from beside the image; None for the image alone."""
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
        return list(self.predict_each(images, categories))

    def predict_each(
        self, images: Sequence[ImageSource | Sequence[ImageSource]], categories: Sequence[str]
    ) -> Iterator[Prediction]:
        """`predict` for more images than answers fit into memory: a batch at a time, in order."""
        if len(images) != len(categories):
            raise InputError(f"{len(images)} images but {len(categories)} categories")
        indices = np.array([self.taxonomy.category_index(c) for c in categories], dtype=np.int64)
        each = [list(one) if isinstance(one, list | tuple) else [one] for one in images]
        flat = [image for of_product in each for image in of_product]
        products = products_of(starts_of(np.array([len(of) for of in each], dtype=np.int64)))
        several = None if len(flat) == len(each) else products
        image_of = cast("Callable[[int], ImageSource]", flat.__getitem__)
        for scores in self.score(image_of, indices, products=several):
            yield from self._named(indices[scores.rows], scores)

    def predict_table(
        self, table: Table, first: int = 0, with_known_labels: bool = False
    ) -> Iterator[RowScores]:
        """Predict the rows of a table, in order, a batch at a time.

        Words answer along where the model and the rows have them.

        Args:
            table: The rows.
            first: The row to start from.
            with_known_labels: Let the labels that a row has speak of its others. Never for scores:
                rows to be scored have no labels to look at.
        """
        rest = table.take(np.arange(first, len(table))) if first else table
        for scores in self._score_table(rest, with_known_labels=with_known_labels):
            # `score` counts from 0, also the rows of a table that is resumed in its middle.
            problems = {row + first: reason for row, reason in scores.problems.items()}
            shift = table.numbers(first)[0] if first else 0
            skipped = {
                row + first: {number + shift: why for number, why in images.items()}
                for row, images in scores.skipped.items()
            }
            yield scores._replace(rows=scores.rows + first, problems=problems, skipped=skipped)

    def _score_table(
        self,
        table: Table,
        on_raw: Callable[[np.ndarray], None] | None = None,
        with_known_labels: bool = False,
    ) -> Iterator[RowScores]:
        products = None if table.starts is None else products_of(table.starts)
        targets = table.targets if with_known_labels else None
        images = table.images.image
        return self.score(images, table.categories, on_raw, table.texts, targets, products)

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
        texts: np.ndarray | None = None,
        targets: np.ndarray | None = None,
        products: np.ndarray | None = None,
    ) -> Iterator[RowScores]:
        """Answers of rows 0 ... N - 1, in order, a batch at a time.

        Args:
            image_of: Gives the image of a number; called in the loading processes.
            categories: [N] indices of the rows' categories.
            on_raw: Called with what the model makes of the images of each batch, before any
                decision and without other witnesses: [n, A, C], 0 where it has no answer.
            texts: [N, X] words of the rows, "" for none; None lets no words speak.
            targets: [N, A] known labels of the rows, -1 for none; None lets no labels speak.
            products: [V] the row of each image, rising, where rows have several; None: each row
                has one, of its own number.
        """
        for batch, probabilities in self._by_row(image_of, categories, products):
            answers = self.answer(probabilities, batch.categories)
            if on_raw is not None:
                raw = plain_answers(self.taxonomy, probabilities, batch.categories)
                on_raw(raw.probabilities)
            silent = self._is_silent(answers, batch)
            problems = batch.problems | dict.fromkeys(batch.rows[silent].tolist(), NO_ANSWER)
            given = tuple(None if each is None else each[batch.rows] for each in (texts, targets))
            answers, spoken = self._with_witnesses(
                answers, probabilities, categories[batch.rows], *given
            )
            yield RowScores(batch.rows, *answers, problems, spoken, batch.skipped)

    def _is_silent(self, answers: Answers, batch: ProductBatch) -> np.ndarray:
        """[n] bool rows whose image was read and got no answer."""
        has_answer = answers.classes != UNKNOWN  # not where the model gave NaN
        # -1 reads the slots of the last category here; such rows are left out in the next line, for
        # they have their reason already.
        slots = np.arange(has_answer.shape[1]) < self._num_slots[batch.categories][:, None]
        silent: np.ndarray = (slots & ~has_answer).any(axis=1) & (batch.categories >= 0)
        return silent

    def _with_witnesses(
        self,
        image: Answers,
        probabilities: np.ndarray,
        categories: np.ndarray,
        texts: np.ndarray | None,
        targets: np.ndarray | None,
    ) -> tuple[Answers, np.ndarray]:
        """The image's answers, or those of all witnesses; [n, A] bits of who answered each cell."""
        alone = np.where(image.classes == UNKNOWN, 0, IMAGE)
        said = {} if self.witnesses is None else self.witnesses.say(texts, targets, categories)
        if self.witnesses is None or not any(each.any() for each in said.values()):
            return image, alone
        # Where the image has no answer for want of a number it has none here either.
        said[IMAGE] = np.where((alone == IMAGE)[..., None], probabilities, 0.0)
        answers = self.witnesses.answer(image, said, categories, self.answer)
        return answers, self.witnesses.choose(said)

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

    def answer(
        self, probabilities: np.ndarray, categories: np.ndarray, decision: Decision | None = None
    ) -> Answers:
        """What is answered for raw probabilities, by the rule and the target of the config.

        Args:
            probabilities: [N, A, C] softmax of the model.
            categories: [N] category indices, -1 for a row without image.
            decision: Another one than that of the images.
        """
        decision = decision or self.decision
        plain = self._rule == "argmax" or decision is None
        if plain and self._target is None:
            return plain_answers(self.taxonomy, probabilities, categories)
        assert decision is not None  # or the target was refused
        answers = decision.answer(probabilities, categories, self._rule, self._target)
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
