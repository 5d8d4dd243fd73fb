"""From probabilities to answers: what a model publishes, and what it leaves open.

Shapes: N rows, K categories, A slots (the most attributes of a category), C classes of the widest
task, G thresholds.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from visual_taxonomy.decision.abstention import AcceptedCounts, Thresholds, head_thresholds
from visual_taxonomy.decision.conformal import set_thresholds
from visual_taxonomy.decision.tables import Tables, padded, parts_of
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy
from visual_taxonomy.typed_values import typed_fields

Rule = Literal["argmax", "metric"]
"""How the class is chosen: the most probable one, or the one that serves the metric."""

OTHER_TAXONOMY = "a decision fitted for another taxonomy; fit it anew with `vtax calibrate`"
"""What a decision that cannot be used for a model is refused with."""


class Answers(NamedTuple):
    """What is answered for each row and slot."""

    probabilities: np.ndarray
    """[N, A, C] float32, calibrated; 0 where there is no answer, slot or class."""
    classes: np.ndarray
    """[N, A] int64 chosen classes, of abstained answers too; -1 without answer or slot."""
    runner_up: np.ndarray
    """[N, A] int64 second choices; -1 if there is none."""
    is_unknown: np.ndarray
    """[N, A] bool: not to be published, for want of confidence or of an answer."""


@dataclass(frozen=True)
class HeadDecision:
    """What was fitted for one head.

    Args:
        temperature: T of softmax(log p / T + b log prior); > 0.
        prior_exponent: b.
        log_prior: [C] logarithms of the shares of the training labels.
        tau: Exponent of the rule argmax_c log p_c - tau log prior_c + offset_c.
        offsets: [C] of the rule; None for none.
        argmax_counts: Held-out answers by confidence, classes chosen by argmax.
        metric_counts: The same, chosen by the rule.
        labels: Held-out labels it was fitted on.
        covered: Held-out labels by their calibrated probability; see `conformal`.

    Example:
        >>> counts = AcceptedCounts((2, 0), (1, 0))
        >>> head = HeadDecision(2.0, 0.0, (-0.7, -0.7), 0.4, None, counts, counts, labels=2)
        >>> head.is_pooled
        False
    """

    temperature: float
    prior_exponent: float
    log_prior: tuple[float, ...]
    tau: float
    offsets: tuple[float, ...] | None
    argmax_counts: AcceptedCounts
    metric_counts: AcceptedCounts
    labels: int
    covered: tuple[int, ...] = ()

    @property
    def is_pooled(self) -> bool:
        """Whether no held-out row was labelled, so that all is from the other heads."""
        return not self.labels


@dataclass(frozen=True)
class FittedOn:
    """The rows that a decision was fitted on.

    Args:
        source: Names them for people, such as a file or "validation rows".
        rows: How many.
        labels: Labels of all heads together.
        folds: Parts of the cross-fitting.
        digest: SHA-256 of the sorted ids.
    """

    source: str
    rows: int
    labels: int
    folds: int
    digest: str


@dataclass(frozen=True)
class Decision:
    """Calibration, rule and thresholds of all heads of a model.

    Args:
        taxonomy: That of the model.
        heads: In the order of `taxonomy.tasks`.
        fitted_on: Where they are from.
        rule: Name of the rule that cross-validation chose; see `rule.RULES`.
        grid: [G] thresholds at which `argmax_counts` and `metric_counts` were counted.

    Raises:
        InputError: The heads do not fit the taxonomy.
    """

    taxonomy: Taxonomy
    heads: tuple[HeadDecision, ...]
    fitted_on: FittedOn
    rule: str
    grid: tuple[float, ...]
    # A cache, which a frozen class may fill though not replace; it is no part of the value.
    _thresholds: dict[tuple[str, float], Thresholds] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        sizes = [len(head.log_prior) for head in self.heads]
        if sizes != [len(task.classes) for task in self.taxonomy.tasks]:
            raise InputError(OTHER_TAXONOMY)
        if not all(_is_sound(head, len(self.grid)) for head in self.heads):
            raise InputError("the decision is damaged (its numbers do not fit); fit it anew")

    def answer(
        self,
        probabilities: np.ndarray,
        categories: np.ndarray,
        rule: Rule = "metric",
        target_precision: float | None = None,
        coverage: float | None = None,
    ) -> Answers:
        """Answers of a batch, all rows alike whatever batch they come in.

        Args:
            probabilities: [N, A, C] softmax of the model; 0 or NaN where it has no answer.
            categories: [N] category indices, -1 for a row without image.
            rule: How the class is chosen.
            target_precision: Answers are unknown unless their head keeps this precision at their
                confidence; None publishes every answer.
            coverage: Answers are unknown unless the set of classes that holds the true one with
                this chance is the answer alone; None asks for no set.

        Raises:
            InputError: The target or the coverage is not between 0 and 1, or the shapes do not fit
                the taxonomy.
        """
        self._tables.check_shapes(probabilities, categories)
        least = None
        if target_precision is not None:
            least = self._tables.by_slot(self.thresholds(rule, target_precision).least)
        edge = None if coverage is None else self._tables.by_slot(self.set_thresholds(coverage))
        parts = [
            self._answer(probabilities[part], categories[part], rule, least, edge)
            for part in parts_of(len(categories))
        ]
        return Answers(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def thresholds(self, rule: Rule, target_precision: float) -> Thresholds:
        """Least confidence of each head, in the order of `heads`, for a target precision.

        Raises:
            InputError: The target is not between 0 and 1.
        """
        key = (rule, target_precision)
        if key not in self._thresholds:
            # Swapped from [H, 2, G]: a head has its accepted answers and then its errors.
            accepted, errors = np.array(
                [
                    head.argmax_counts if rule == "argmax" else head.metric_counts
                    for head in self.heads
                ]
            ).swapaxes(0, 1)
            found = head_thresholds(accepted, errors, target_precision, np.array(self.grid))
            self._thresholds[key] = found
        return self._thresholds[key]

    def pooled_tasks(self, target_precision: float) -> tuple[str, ...]:
        """Tasks of too few labels for a threshold of their own at a target precision.

        Raises:
            InputError: The target is not between 0 and 1.
        """
        is_pooled = self.thresholds("metric", target_precision).is_pooled
        return tuple(np.array(self.taxonomy.task_names)[is_pooled].tolist())

    def set_thresholds(self, coverage: float) -> np.ndarray:
        """Least probability of a class in the set of each head, in the order of `heads`.

        Raises:
            InputError: The coverage is not between 0 and 1.
        """
        # A head without counts, the default, has 0 of them and takes those of all heads.
        covered = padded([head.covered for head in self.heads], len(self.grid))
        return set_thresholds(covered, coverage, np.array(self.grid))

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self.taxonomy)

    @cached_property
    def _parameters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[K, A] 1 / T, [K, A, C] b log prior, [K, A, C] what the rule adds."""
        by_slot = self._tables.by_slot
        prior = padded([head.log_prior for head in self.heads])
        offsets = padded([head.offsets or (0.0,) for head in self.heads], prior.shape[1])
        exponents = np.array([head.prior_exponent for head in self.heads])[:, None]
        tau = np.array([head.tau for head in self.heads])[:, None]
        scale = np.array([1.0 / head.temperature for head in self.heads])
        return by_slot(scale), by_slot(exponents * prior), by_slot(offsets - tau * prior)

    def _answer(
        self,
        probabilities: np.ndarray,
        categories: np.ndarray,
        rule: Rule,
        least: np.ndarray | None,
        edge: np.ndarray | None,
    ) -> Answers:
        batch = self._tables.batch(probabilities, categories)
        scale, prior, rule_bias = (table[batch.categories] for table in self._parameters)
        scores = batch.logs + rule_bias if rule == "metric" else batch.logs
        classes, runner_up = batch.first_two(scores)
        calibrated = batch.softmax(batch.logs * scale[..., None] + prior)
        is_unknown = classes == UNKNOWN
        if least is not None or edge is not None:
            # -1 would read the last class; what is read instead counts for nothing: it is unknown.
            chosen = np.maximum(classes, 0)[..., None]
            # As the held-out answers were counted: the calibrated probability of the chosen
            # class, which under the metric rule need not be the highest.
            confidence = np.take_along_axis(calibrated, chosen, axis=2)[..., 0]
        if least is not None:
            is_unknown |= confidence < least[batch.categories]
        if edge is not None:
            edges = edge[batch.categories]
            is_kept = (calibrated >= edges[..., None]) & batch.is_usable
            # One class is left, but the rule may have chosen another: that one lies below the edge.
            is_unknown |= (is_kept.sum(axis=2) != 1) | (confidence < edges)
        return Answers(calibrated.astype(np.float32), classes, runner_up, is_unknown)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "taxonomy": _digest(self.taxonomy),
            "rule": self.rule,
            "fitted_on": asdict(self.fitted_on),
            "grid": list(self.grid),
            "heads": [_plain(head) for head in self.heads],
        }

    @classmethod
    def from_dict(cls, taxonomy: Taxonomy, mapping: Mapping[str, Any]) -> "Decision":
        """The inverse of `to_dict`.

        Raises:
            InputError: The values are damaged, or were fitted for another taxonomy.
        """
        try:
            is_other = mapping["taxonomy"] != _digest(taxonomy)
            heads = () if is_other else tuple(map(_head, mapping["heads"]))
            grid = tuple(map(float, mapping["grid"]))
            fitted_on = FittedOn(**typed_fields(FittedOn, mapping["fitted_on"], "fitted_on"))
            rule = str(mapping["rule"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the decision is damaged ({error!r}); fit it anew") from None
        # Outside of the block: InputError is a ValueError, and would be reported as damage.
        if is_other:
            raise InputError(OTHER_TAXONOMY)
        return cls(taxonomy, heads, fitted_on, rule, grid)


def plain_answers(taxonomy: Taxonomy, probabilities: np.ndarray, categories: np.ndarray) -> Answers:
    """The most probable classes with the raw probabilities: what a model says without a decision.

    Args:
        taxonomy: That of the model.
        probabilities: [N, A, C] softmax of the model; 0 or NaN where it has no answer.
        categories: [N] category indices, -1 for a row without image.

    Raises:
        InputError: The shapes do not fit the taxonomy.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> answers = plain_answers(taxonomy, np.array([[[0.25, 0.75]]]), np.array([0]))
        >>> answers.classes, answers.runner_up, answers.is_unknown
        (array([[1]]), array([[0]]), array([[False]]))
    """
    tables = Tables(taxonomy)
    tables.check_shapes(probabilities, categories)
    batch = tables.batch(probabilities, categories)
    classes, runner_up = batch.first_two(batch.exact)
    raw = np.where(batch.is_usable, batch.exact, 0.0).astype(np.float32)
    return Answers(raw, classes, runner_up, classes == UNKNOWN)


def _is_sound(head: HeadDecision, thresholds: int) -> bool:
    numbers = (head.prior_exponent, head.tau, *head.log_prior, *(head.offsets or ()))
    lengths = {len(part) for part in (*head.argmax_counts, *head.metric_counts)}
    return (
        # NaN is below no threshold: a decision that holds one would publish every answer.
        bool(np.isfinite((head.temperature, *numbers)).all())
        and head.temperature > 0
        and lengths == {thresholds}
        and len(head.covered) in (0, thresholds)
        and (head.offsets is None or len(head.offsets) == len(head.log_prior))
    )


def _digest(taxonomy: Taxonomy) -> str:
    return hashlib.sha256(taxonomy.to_json().encode()).hexdigest()


def _plain(head: HeadDecision) -> dict[str, Any]:
    values = asdict(head)
    # asdict keeps named tuples, which JSON would write as lists without names.
    for name in ("argmax_counts", "metric_counts"):
        values[name] = getattr(head, name)._asdict()
    return values


def _head(values: Mapping[str, Any]) -> HeadDecision:
    """A head of `_plain`; any exception means damage."""
    counts = {
        name: AcceptedCounts(
            *(tuple(map(int, values[name][part])) for part in AcceptedCounts._fields)
        )
        for name in ("argmax_counts", "metric_counts")
    }
    offsets = values["offsets"]
    return HeadDecision(
        temperature=float(values["temperature"]),
        prior_exponent=float(values["prior_exponent"]),
        log_prior=tuple(map(float, values["log_prior"])),
        tau=float(values["tau"]),
        offsets=None if offsets is None else tuple(map(float, offsets)),
        labels=int(values["labels"]),
        covered=tuple(map(int, values["covered"])),
        **counts,
    )
