"""From class indices to what people read: the one place where a class gets its name.

Shapes: N rows, A slots, C classes of the widest task.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np

from visual_taxonomy.taxonomy import UNKNOWN, Task, Taxonomy
from visual_taxonomy.witnesses.combination import IMAGE

Status = Literal["answered", "answered from words", "unknown", "no image"]
ANSWERED: Status = "answered"
FROM_WORDS: Status = "answered from words"
UNSURE: Status = "unknown"
NO_IMAGE: Status = "no image"


class RowScores(NamedTuple):
    """Answers of a batch of rows, in the order asked for."""

    rows: np.ndarray
    """[N] numbers of the rows."""
    probabilities: np.ndarray
    """[N, A, C] float32; 0 where there is no image, slot or class. Calibrated, unless the
    decision is argmax."""
    classes: np.ndarray
    """[N, A] index of the chosen class, of unsure answers too; -1 without image or slot."""
    runner_up: np.ndarray
    """[N, A] index of the second choice; -1 without one."""
    is_unknown: np.ndarray
    """[N, A] bool: without answer, or not sure enough to be published."""
    problems: dict[int, str]
    """Row -> why its image could not be read, or has no answer."""
    witnesses: np.ndarray | None = None
    """[N, A] bits of the witnesses that answer each cell (`witnesses.combination`: 1 the image, 2
    words, 4 known labels), 0 for none; None where nobody asked."""
    skipped: Mapping[int, Mapping[int, str]] = {}
    """Row that is answered from its other images -> number of an image -> why it was not read."""

    @property
    def published(self) -> np.ndarray:
        """[N, A] index of the chosen class; -1 where nothing is to be published."""
        return np.where(self.is_unknown, UNKNOWN, self.classes)


class Answer(NamedTuple):
    """What is said of one attribute of one product."""

    label: str | None
    """The chosen class, of an unsure answer too; None where there is no image."""
    probability: float | None
    """Of that class, in [0, 1]."""
    runner_up: str | None
    """The second choice; None if there is none."""
    runner_up_probability: float | None
    status: Status
    """`answered`; `answered from words`, without an image; `unknown`: not sure enough for the
    target precision; or `no image`."""


def named_answers(
    taxonomy: Taxonomy, categories: np.ndarray, scores: RowScores
) -> Iterator[dict[str, Answer]]:
    """Attribute -> answer for each row of a batch, in the order of the category's attributes.

    Args:
        taxonomy: That of the model.
        categories: [N] category indices of the batch.
        scores: Its answers.
    """
    tasks = tasks_of(taxonomy)
    # As lists: taking single numbers out of an array is many times slower.
    columns = zip(
        scores.classes.tolist(),
        _chosen(scores.probabilities, scores.classes),
        scores.runner_up.tolist(),
        _chosen(scores.probabilities, scores.runner_up),
        scores.is_unknown.tolist(),
        _without_image(scores).tolist(),
        strict=True,
    )
    for category, row in zip(categories.tolist(), columns, strict=True):
        cells = zip(*row, strict=True)
        yield {
            task.attribute: _answer(task, *cell)
            # The arrays are as wide as the widest category: zip drops the slots it does not have.
            for task, cell in zip(tasks[category], cells, strict=False)
        }


def label_texts(
    taxonomy: Taxonomy, categories: np.ndarray, scores: RowScores, unknown: str = ""
) -> Iterator[list[str]]:
    """The labels of each row of a batch as they are published; empty for no answer.

    Args:
        taxonomy: That of the model.
        categories: [N] category indices of the batch.
        scores: Its answers.
        unknown: Text of an answer that is not sure enough.
    """
    tasks = tasks_of(taxonomy)
    # Without an image a cell stays empty: the text says that there was one, and no sure answer.
    unsure = scores.is_unknown & (scores.classes != UNKNOWN)
    rows = zip(categories.tolist(), scores.classes.tolist(), unsure.tolist(), strict=True)
    for category, classes, hidden in rows:
        cells = zip(tasks[category], classes, hidden, strict=False)
        yield [unknown if is_hidden else task.label(c) or "" for task, c, is_hidden in cells]


def probability_texts(
    taxonomy: Taxonomy, categories: np.ndarray, scores: RowScores
) -> Iterator[list[str]]:
    """The probabilities of the published labels of each row; empty where none is."""
    sizes = [len(slots) for slots in taxonomy.slots]
    chosen = _chosen(scores.probabilities, scores.classes)
    rows = zip(categories.tolist(), chosen, scores.is_unknown.tolist(), strict=True)
    for category, shares, hidden in rows:
        cells = zip(shares[: sizes[category]], hidden, strict=False)
        yield ["" if is_hidden else f"{share:.4f}" for share, is_hidden in cells]


def tasks_of(taxonomy: Taxonomy) -> list[list[Task]]:
    """The tasks of each category, by slot."""
    return [[taxonomy.tasks[index] for index in slots] for slots in taxonomy.slots]


def _without_image(scores: RowScores) -> np.ndarray:
    """[N, A] bool: answered, and not by the image."""
    if scores.witnesses is None:
        return np.zeros(scores.classes.shape, dtype=np.bool_)
    found: np.ndarray = (scores.witnesses & IMAGE) == 0
    return found


def _chosen(probabilities: np.ndarray, classes: np.ndarray) -> list[list[float]]:
    """[N, A] probabilities of the classes."""
    # -1 would read the last class; callers show nothing where the class is -1.
    places = np.maximum(classes, 0)[..., None]
    found: list[list[float]] = np.take_along_axis(probabilities, places, axis=2)[..., 0].tolist()
    return found


def _answer(
    task: Task,
    index: int,
    share: float,
    second: int,
    second_share: float,
    is_unknown: bool,
    is_without_image: bool,
) -> Answer:
    if index == UNKNOWN:
        return Answer(None, None, None, None, NO_IMAGE)
    runner_up = task.label(second)
    answered = FROM_WORDS if is_without_image else ANSWERED
    return Answer(
        task.label(index),
        share,
        runner_up,
        None if runner_up is None else second_share,
        UNSURE if is_unknown else answered,
    )
