"""Two sets of answers to the same held-out rows: by how much they differ, and how sure that is.

Ranges are those of the paired bootstrap: groups of near-duplicates are drawn with replacement, the
same for both. P-values are of the randomization test: under the hypothesis that the two do not
differ, the answers to a group may as well be exchanged. A single answer that differs then
has a p-value of 1; bootstrap samples with weights that are never 0 would all lie on one side.

Shapes: N rows, A slots, B samples, S classes of all tasks, one task after the other, T tasks.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.decision.score_counts import ScoreCounts, Scores
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import UNKNOWN

# 95 % of the samples lie between the two tails, as in `intervals`.
_TAIL = 0.025
_SAMPLES_AT_ONCE = 64
"""Samples whose weights are in memory together; each is N numbers."""
_ROUNDING = 1e-12
"""Differences that are equal by definition differ by this much at most in float64."""


class Difference(NamedTuple):
    """A score of one set of answers minus that of another on the same rows."""

    first: float
    second: float
    difference: float
    """second - first."""
    low: float
    high: float
    p_value: float
    """Of the randomization test, two-sided."""


class Differences(NamedTuple):
    """Differences of the three scores."""

    hm: Difference
    micro: Difference
    macro: Difference


class Comparison(NamedTuple):
    """Differences of the scores, second minus first."""

    rows: int
    """Products that both were judged on."""
    overall: Differences
    attributes: dict[str, Differences]
    """Task name -> differences; without the tasks that have no label."""


def compare(
    first: HeldOut,
    second: HeldOut,
    names: tuple[str, str],
    samples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the most probable classes of two models.

    Args:
        first: Held-out rows of one.
        second: The same rows of the other, in any order.
        names: Of the two, for messages.
        samples: Of the bootstrap, and of the randomization test.
        seed: Of the samples.

    Raises:
        InputError: Taxonomy, rows, categories or labels differ, or no row is labelled.

    References:
        Koehn, EMNLP 2004, W04-3250 (paired bootstrap); Noreen, Computer-intensive methods for
        testing hypotheses, 1989 (randomization).

    Example:
        >>> from visual_taxonomy.taxonomy import Taxonomy
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "none"]}})
        >>> def predicted(share):
        ...     arrays = np.array(["7", "8"]), np.zeros(2, int), np.arange(2)
        ...     probabilities = np.array([[[0.75, 0.25]], [[share, 1 - share]]])
        ...     targets = np.array([[0], [1]])
        ...     return HeldOut(taxonomy, {"Sarees/border": [1, 1]}, *arrays, probabilities, targets)
        >>> micro = compare(predicted(0.6), predicted(0.4), ("a", "b")).overall.micro
        >>> micro.difference, micro.p_value
        (0.5, 1.0)
    """
    second = in_order_of(first, second, names)
    return compare_answers(first, first.most_probable(), second.most_probable(), samples, seed)


def compare_answers(
    rows: HeldOut, first: np.ndarray, second: np.ndarray, samples: int = 2000, seed: int = 0
) -> Comparison:
    """Compare two sets of answers.

    Args:
        rows: What both answer; its probabilities are not looked at.
        first: [N, A] class indices, -1 for no answer.
        second: [N, A] of the other.
        samples: Of the bootstrap, and of the randomization test.
        seed: Of the samples.

    Raises:
        InputError: No row is labelled.
    """
    return compare_repeats(rows, [first], [second], samples, seed)


def compare_repeats(
    rows: HeldOut,
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    samples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the mean scores of two kinds of model, each trained with the same R seeds.

    A bootstrap sample draws groups of rows, and seeds, both with replacement: its range is that
    of other products and other seeds. The randomization test exchanges the answers to a group in
    all seeds at once, so its p-value speaks of products only.

    Args:
        rows: What all answer; its probabilities are not looked at.
        first: R arrays [N, A] of class indices, -1 for no answer.
        second: Those of the other kind, in the order of the same seeds.
        samples: Of the bootstrap, and of the randomization test.
        seed: Of the samples.

    Raises:
        InputError: No row is labelled.
    """
    pairs = [_Pair(rows, a, b) for a, b in zip(first, second, strict=True)]
    groups = np.unique(rows.groups, return_inverse=True)[1]
    num_groups, repeats = int(groups.max(initial=-1)) + 1, len(pairs)
    generator = np.random.default_rng(seed)
    # A generator of its own: how many seeds there are must not change which rows are drawn.
    seeds = np.random.default_rng([seed, repeats])

    def draw(size: int) -> np.ndarray:
        # How often each group is drawn when as many as there are get drawn with replacement.
        shares = np.full(num_groups, 1 / num_groups)
        return generator.multinomial(num_groups, shares, size)[:, groups]

    def choose(size: int) -> np.ndarray:
        return generator.integers(0, 2, (size, num_groups))[:, groups]

    def drawn_mean(size: int) -> tuple[Scores, Scores]:
        rows_drawn = draw(size)
        shares = seeds.multinomial(repeats, np.full(repeats, 1 / repeats), size) / repeats
        return _mean([pair.drawn(rows_drawn) for pair in pairs], shares)

    def exchanged_mean(size: int) -> tuple[Scores, Scores]:
        is_exchanged = choose(size)
        return _mean([pair.exchanged(is_exchanged) for pair in pairs])

    points = _mean([pair.drawn(np.ones((1, len(rows)))) for pair in pairs])
    # Both draw from one generator: in another order a seed would give other figures.
    drawn = _joined(drawn_mean(size) for size in _sizes(samples))
    exchanged = _joined(exchanged_mean(size) for size in _sizes(samples))
    tasks = {
        task.name: _differences(points, drawn, exchanged, _column(t))
        for t, task in enumerate(rows.taxonomy.tasks)
        if pairs[0].has_labels[t]
    }
    mean = pairs[0].counts.mean
    return Comparison(len(rows), _differences(points, drawn, exchanged, mean), tasks)


def _mean(
    repeats: list[tuple[Scores, Scores]], shares: np.ndarray | None = None
) -> tuple[Scores, Scores]:
    """[B, T] scores of both averaged over R repeats, in each sample with its [B, R] shares."""
    if shares is None:
        shares = np.full((1, len(repeats)), 1 / len(repeats))

    def averaged(scores: tuple[Scores, ...]) -> Scores:
        kinds = zip(*scores, strict=True)
        return Scores(*((np.stack(kind, axis=2) * shares[:, None]).sum(axis=2) for kind in kinds))

    first, second = (averaged(each) for each in zip(*repeats, strict=True))
    return first, second


class _Pair:
    """The counts of two sets of answers, for weighted rows and for exchanged answers."""

    def __init__(self, rows: HeldOut, first: np.ndarray, second: np.ndarray) -> None:
        taxonomy = rows.taxonomy
        self.counts = ScoreCounts(taxonomy)
        self._heads: list[tuple[np.ndarray, np.ndarray]] = []
        for category, slots in enumerate(taxonomy.slots):
            of_category = rows.categories == category
            for slot, task in enumerate(slots):
                labelled = np.flatnonzero(of_category & (rows.targets[:, slot] != UNKNOWN))
                # UNKNOWN equals no class: an answer that is missing is a row of zeros.
                classes = np.arange(len(taxonomy.tasks[task].classes))
                labels, a, b = (
                    (answers[labelled, slot, None] == classes).astype(np.float64)
                    for answers in (rows.targets, first, second)
                )
                self._heads.append((labelled, np.hstack([labels, a, a * labels, b, b * labels])))
        self.has_labels = [bool(len(labelled)) for labelled, _ in self._heads]
        if not any(self.has_labels):
            raise InputError("nothing to compare: no row has a label; fill attr_1, attr_2, ...")
        self._totals = self._sums(np.ones((1, len(rows))))

    def drawn(self, weights: np.ndarray) -> tuple[Scores, Scores]:
        """[B, T] scores of both, the rows weighted by [B, N]."""
        labels, a, correct_a, b, correct_b = self._sums(weights)
        scores = self.counts.scores
        return scores(labels, a, correct_a), scores(labels, b, correct_b)

    def exchanged(self, is_exchanged: np.ndarray) -> tuple[Scores, Scores]:
        """[B, T] scores of both, the answers exchanged in rows of [B, N] that are 1."""
        labels, a, correct_a, b, correct_b = self._totals
        _, from_a, correct_from_a, from_b, correct_from_b = self._sums(is_exchanged)
        moved, correct_moved = from_b - from_a, correct_from_b - correct_from_a
        scores = self.counts.scores
        # Exchanging answers changes no label, so these are the same for all samples.
        labels = np.broadcast_to(labels, moved.shape)
        return (
            scores(labels, a + moved, correct_a + correct_moved),
            scores(labels, b - moved, correct_b - correct_moved),
        )

    def _sums(self, weights: np.ndarray) -> list[np.ndarray]:
        """[B, S] labels, answers and correct answers of the first, and those of the second."""
        # One matrix product a head counts all five tables for all samples.
        sums = [
            (weights[:, rows] @ table).reshape(len(weights), 5, -1) for rows, table in self._heads
        ]
        return [np.concatenate([each[:, kind] for each in sums], axis=1) for kind in range(5)]


def _sizes(samples: int) -> Iterator[int]:
    for start in range(0, samples, _SAMPLES_AT_ONCE):
        yield min(_SAMPLES_AT_ONCE, samples - start)


def _joined(parts: Iterator[tuple[Scores, Scores]]) -> tuple[Scores, Scores]:
    firsts, seconds = zip(*parts, strict=True)
    return _stacked(firsts), _stacked(seconds)


def _stacked(parts: Sequence[Scores]) -> Scores:
    return Scores(*map(np.concatenate, zip(*parts, strict=True)))


def _column(task: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: values[:, task]


def _differences(
    points: tuple[Scores, Scores],
    drawn: tuple[Scores, Scores],
    exchanged: tuple[Scores, Scores],
    reduce: Callable[[np.ndarray], np.ndarray],
) -> Differences:
    """The differences of what `reduce` makes of [B, T] scores: [B] of a task, or of their mean."""
    found = []
    for score in Scores._fields:
        first, second = (float(reduce(getattr(each, score))[0]) for each in points)
        draws, swaps = (
            reduce(getattr(b, score)) - reduce(getattr(a, score)) for a, b in (drawn, exchanged)
        )
        known = draws[~np.isnan(draws)]  # a sample may draw no label of a rare task
        low, high = np.quantile(known, (_TAIL, 1 - _TAIL)).tolist() if len(known) else (np.nan,) * 2
        extreme = (np.abs(swaps) >= abs(second - first) - _ROUNDING).sum()
        # 1 + ...: the answers as they are count as one exchange, so that p is never 0.
        p_value = float(1 + extreme) / (len(swaps) + 1)
        found.append(Difference(first, second, second - first, low, high, p_value))
    return Differences(*found)


def in_order_of(first: HeldOut, second: HeldOut, names: tuple[str, str]) -> HeldOut:
    """The second with the rows of the first in their order.

    Args:
        first: Rows of one model.
        second: The same rows of another, in any order.
        names: Of the two, for messages.

    Raises:
        InputError: Taxonomy, rows, categories or labels differ.
    """
    if first.taxonomy != second.taxonomy:
        raise InputError(
            f"{names[0]} and {names[1]} have different taxonomies; train both with the same "
            "`attributes_config`"
        )
    only = [_only(a, b) for a, b in ((first, second), (second, first))]
    if any(only):
        counts = "; ".join(
            f"only {name} has {len(ids):,}, such as '{shown(ids[0])}'"
            for name, ids in zip(names, only, strict=True)
            if ids
        )
        raise InputError(
            f"{names[0]} and {names[1]} were judged on different rows: {counts}; train both with "
            "the same `split_path`"
        )
    place = {name: row for row, name in enumerate(second.ids.tolist())}
    second = second.take(np.array([place[name] for name in first.ids.tolist()], dtype=np.int64))
    # Only after the ids: rows must stand in the same order before their labels can be compared.
    differs = (first.categories != second.categories) | (first.targets != second.targets).any(1)
    if differs.any():
        name = shown(first.ids[differs][0])
        raise InputError(
            f"{names[0]} and {names[1]}: {differs.sum():,} rows have other labels, such as id "
            f"'{name}'; train both on the same CSV"
        )
    return second


def _only(first: HeldOut, second: HeldOut) -> Sequence[str]:
    there = set(second.ids.tolist())
    return [name for name in first.ids.tolist() if name not in there]
