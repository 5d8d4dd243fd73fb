"""How good predictions are: per class, attribute and category, and overall.

Only counts are stored; every score is derived from them. Shapes: N images, A slots (attributes
of a category), K categories, C classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class ClassScores:
    """One class, over the labelled rows of its attribute.

    Scores are 0 where their denominator is, as in scikit-learn.

    Args:
        name: The class.
        support: Rows whose true class this is.
        predicted: Rows for which this class was predicted.
        correct: Rows for which it was predicted and true.

    Example:
        >>> zari = ClassScores("zari", support=4, predicted=2, correct=2)
        >>> zari.precision, zari.recall, round(zari.f1, 3)
        (1.0, 0.5, 0.667)
    """

    name: str
    support: int
    predicted: int
    correct: int

    @property
    def precision(self) -> float:
        """Share of the predictions that were right."""
        return _share(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the true rows that were found."""
        return _share(self.correct, self.support)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.correct, self.predicted + self.support)

    @property
    def occurs(self) -> bool:
        """Whether the class is in truth or prediction, and so in the macro average."""
        return self.support + self.predicted > 0


@dataclass(frozen=True)
class AttributeScores:
    """One attribute of one category; its scores are None where no row is labelled.

    Example:
        >>> border = AttributeScores("border", (ClassScores("zari", 3, 4, 3),
        ...                                     ClassScores("none", 1, 0, 0)))
        >>> border.support, border.micro, round(border.macro, 3), round(border.hm, 3)
        (4, 0.75, 0.429, 0.545)
    """

    name: str
    classes: tuple[ClassScores, ...]

    @property
    def support(self) -> int:
        """Labelled rows."""
        return sum(scores.support for scores in self.classes)

    @property
    def micro(self) -> float | None:
        """Micro-F1: of the counts of all classes; the accuracy if every row has a prediction."""
        if not self.support:
            return None
        predicted = sum(scores.predicted for scores in self.classes)
        correct = sum(scores.correct for scores in self.classes)
        return _share(2 * correct, predicted + self.support)

    @property
    def macro(self) -> float | None:
        """Macro-F1: mean over the classes that occur in truth or prediction."""
        if not self.support:
            return None
        return _mean(scores.f1 for scores in self.classes if scores.occurs)

    @property
    def hm(self) -> float | None:
        """Harmonic mean of micro-F1 and macro-F1."""
        micro, macro = self.micro, self.macro
        return None if micro is None or macro is None else harmonic_mean(micro, macro)


@dataclass(frozen=True)
class CategoryScores:
    """One category: means over those of its attributes that have labelled rows, None without any.

    `hm` is the mean of the attributes' `hm`, not the harmonic mean of `micro` and `macro`.
    """

    name: str
    attributes: tuple[AttributeScores, ...]

    @property
    def support(self) -> int:
        """Labels, over all attributes."""
        return sum(scores.support for scores in self.attributes)

    @property
    def hm(self) -> float | None:
        """Mean of the attributes' harmonic means."""
        return _mean(scores.hm for scores in self.attributes)

    @property
    def micro(self) -> float | None:
        """Mean of the attributes' micro-F1."""
        return _mean(scores.micro for scores in self.attributes)

    @property
    def macro(self) -> float | None:
        """Mean of the attributes' macro-F1."""
        return _mean(scores.macro for scores in self.attributes)


@dataclass(frozen=True)
class Report:
    """Scores of a set of predictions: means over the categories that have labelled rows.

    Args:
        categories: Scores of each category, in the order of the taxonomy.

    Raises:
        InputError: No row is labelled, so there is nothing to score.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> predicted, targets = np.array([[0], [0]]), np.array([[0], [1]])
        >>> report = evaluate(taxonomy, predicted, targets, np.array([0, 0]))
        >>> round(report.hm, 3), report.micro, round(report.macro, 3)
        (0.4, 0.5, 0.333)
        >>> Report.from_dict(report.to_dict()) == report
        True
    """

    categories: tuple[CategoryScores, ...]

    def __post_init__(self) -> None:
        if not self.support:
            raise InputError("nothing to score: no row has a label; fill attr_1, attr_2, ...")

    @property
    def support(self) -> int:
        """Labels, over all categories and attributes."""
        return sum(scores.support for scores in self.categories)

    @property
    def hm(self) -> float:
        """The score of the competition: mean of the categories' `hm`."""
        # `or 0.0` is for the type checker alone: a report has a label, so there is a mean.
        return _mean(scores.hm for scores in self.categories) or 0.0

    @property
    def micro(self) -> float:
        """Mean of the categories' micro-F1."""
        return _mean(scores.micro for scores in self.categories) or 0.0

    @property
    def macro(self) -> float:
        """Mean of the categories' macro-F1."""
        return _mean(scores.macro for scores in self.categories) or 0.0

    def to_dict(self) -> dict[str, Any]:
        """All scores and counts as plain values for JSON, keyed by the names of the taxonomy."""
        return {**_scores(self), "categories": {c.name: _category(c) for c in self.categories}}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Report":
        """The inverse of `to_dict`; scores are computed again from the counts.

        Raises:
            InputError: The mapping is not of that form.
        """
        try:
            # The scores in it are for readers: computed again, they cannot contradict the counts.
            return cls(tuple(_read_category(*item) for item in mapping["categories"].items()))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a report of `vtax evaluate --out`: {error!r}") from None


def harmonic_mean(a: float, b: float) -> float:
    """Harmonic mean of two numbers >= 0; 0 when both are 0.

    Example:
        >>> harmonic_mean(1.0, 0.5), harmonic_mean(0.0, 0.0)
        (0.6666666666666666, 0.0)
    """
    return _share(2 * a * b, a + b)


def confusion_matrix(predicted: IntArray, target: IntArray, num_classes: int) -> NDArray[np.int64]:
    """How often each class (row) was taken for each class (column).

    Rows without label or without prediction (-1) are left out.

    Args:
        predicted: [N] class indices, -1 for no answer.
        target: [N] class indices, -1 for unknown.
        num_classes: C.

    Returns:
        [C, C] counts.

    Raises:
        InputError: The shapes differ or an index lies outside [-1, C).

    Example:
        >>> confusion_matrix(np.array([0, 1, 1, -1]), np.array([0, 0, 1, 1]), 2)
        array([[1, 1],
               [0, 1]])
    """
    return _pair_counts(predicted, target, num_classes)[1:, 1:]


def evaluate(
    taxonomy: Taxonomy, predicted: IntArray, targets: IntArray, categories: IntArray
) -> Report:
    """Score predictions against labels as the competition does.

    Per attribute: micro-F1, macro-F1 over the classes that occur in truth or prediction, and their
    harmonic mean, over the rows with a label. Then means over the attributes of a category, then
    over the categories; whatever has no labelled row is left out of the means. A prediction of -1
    (no answer) is a miss: it lowers the recall of the true class and no precision.

    Args:
        taxonomy: Says which attribute stands in which slot.
        predicted: [N, A] class indices, -1 for no answer.
        targets: [N, A] class indices, -1 for unknown.
        categories: [N] category indices.

    Raises:
        InputError: No row is labelled, the shapes do not fit the taxonomy or each other, or an
            index lies outside its range.

    References:
        The task: USERS.md, section 1. Same figures as scikit-learn's f1_score.
    """
    _check_slots(taxonomy, predicted, categories, "predictions")
    _check_slots(taxonomy, targets, categories, "labels")
    scores = []
    for k, slots in enumerate(taxonomy.slots):
        rows = categories == k
        predictions, labels = predicted[rows], targets[rows]
        attributes = []
        for slot, task in enumerate(slots):
            name, classes = taxonomy.tasks[task].attribute, taxonomy.tasks[task].classes
            pairs = _pair_counts(predictions[:, slot], labels[:, slot], len(classes))
            attributes.append(AttributeScores(name, _class_scores(classes, pairs)))
        scores.append(CategoryScores(taxonomy.categories[k], tuple(attributes)))
    return Report(tuple(scores))


def majority_classes(
    taxonomy: Taxonomy, class_counts: Mapping[str, Sequence[int]]
) -> NDArray[np.int64]:
    """The most frequent class of every attribute: what the majority baseline predicts.

    Args:
        taxonomy: Says which attribute stands in which slot.
        class_counts: Task name -> [C] training labels of each class.

    Returns:
        [K, A] class indices, the first of those that tie; -1 for an attribute without labels and
        for slots that a category does not have.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> majority_classes(taxonomy, {"Sarees/border": [1, 2]})
        array([[1]])
    """
    majority = np.full((len(taxonomy.categories), taxonomy.num_slots), UNKNOWN, dtype=np.int64)
    for k, slots in enumerate(taxonomy.slots):
        for slot, task in enumerate(slots):
            counts = np.asarray(class_counts[taxonomy.task_names[task]])
            # argmax would give a class to an attribute nobody has labelled.
            if counts.any():
                majority[k, slot] = counts.argmax()
    return majority


def majority_report(
    taxonomy: Taxonomy,
    class_counts: Mapping[str, Sequence[int]],
    targets: IntArray,
    categories: IntArray,
) -> Report:
    """What always answering the most frequent training class scores; arguments as above."""
    majority = majority_classes(taxonomy, class_counts)
    return evaluate(taxonomy, constant_predictions(majority, categories), targets, categories)


def constant_predictions(classes: NDArray[np.int64], categories: IntArray) -> NDArray[np.int64]:
    """The same class for every row of a category: `classes` [K, A] at `categories` [N] -> [N, A].

    Example:
        >>> constant_predictions(np.array([[2, 0], [1, -1]]), np.array([1, 0, 1]))
        array([[ 1, -1],
               [ 2,  0],
               [ 1, -1]])
    """
    return classes[categories]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _pair_counts(predicted: IntArray, target: IntArray, num_classes: int) -> NDArray[np.int64]:
    """[C + 1, C + 1] counts by true (row) and predicted (column) class, -1 first."""
    if predicted.shape != target.shape or predicted.ndim != 1:
        raise InputError(f"{predicted.shape} predictions for {target.shape} labels, expected [N]")
    for name, indices in (("prediction", predicted), ("label", target)):
        if indices.size and not UNKNOWN <= indices.min() <= indices.max() < num_classes:
            wrong = indices[(indices < UNKNOWN) | (indices >= num_classes)][0]
            raise InputError(
                f"{name} {wrong} is not a class index; expected -1 to {num_classes - 1}"
            )
    side = num_classes + 1
    # Indices may be of few bits, in which the products would overflow.
    pairs = (target.astype(np.int64) + 1) * side + predicted.astype(np.int64) + 1
    return np.bincount(pairs, minlength=side * side).reshape(side, side)


def _class_scores(names: tuple[str, ...], pairs: NDArray[np.int64]) -> tuple[ClassScores, ...]:
    # Without the first row: what is said of rows without a label is neither right nor wrong.
    labelled = pairs[1:]
    # Column 0 is no answer, so the right answers stand one beside the main diagonal.
    counts = np.stack((labelled.sum(1), labelled[:, 1:].sum(0), labelled.diagonal(1)), axis=1)
    return tuple(ClassScores(name, *row) for name, row in zip(names, counts.tolist(), strict=True))


def _check_slots(taxonomy: Taxonomy, labels: IntArray, categories: IntArray, name: str) -> None:
    num_categories = len(taxonomy.categories)
    if categories.size and not 0 <= categories.min() <= categories.max() < num_categories:
        wrong = categories[(categories < 0) | (categories >= num_categories)][0]
        raise InputError(f"{wrong} is not a category index; expected 0 to {num_categories - 1}")
    if labels.shape != (len(categories), taxonomy.num_slots):
        raise InputError(
            f"{name} of shape {labels.shape} do not fit {len(categories)} rows and the taxonomy's "
            f"{taxonomy.num_slots} attributes per category"
        )


def _scores(node: Report | CategoryScores | AttributeScores) -> dict[str, Any]:
    return {"hm": node.hm, "micro": node.micro, "macro": node.macro, "support": node.support}


def _category(scores: CategoryScores) -> dict[str, Any]:
    return {**_scores(scores), "attributes": {a.name: _attribute(a) for a in scores.attributes}}


def _attribute(scores: AttributeScores) -> dict[str, Any]:
    return {**_scores(scores), "classes": {c.name: _class(c) for c in scores.classes}}


def _class(scores: ClassScores) -> dict[str, float]:
    names = ("precision", "recall", "f1", "support", "predicted", "correct")
    return {name: getattr(scores, name) for name in names}


def _read_category(name: str, mapping: Mapping[str, Any]) -> CategoryScores:
    attributes = mapping["attributes"].items()
    return CategoryScores(name, tuple(_read_attribute(*item) for item in attributes))


def _read_attribute(name: str, mapping: Mapping[str, Any]) -> AttributeScores:
    classes = (
        ClassScores(label, counts["support"], counts["predicted"], counts["correct"])
        for label, counts in mapping["classes"].items()
    )
    return AttributeScores(name, tuple(classes))
