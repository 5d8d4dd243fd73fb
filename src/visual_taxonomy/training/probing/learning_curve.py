"""Learning curves: the score of each head at a part of its labels, and what more would bring.

Shapes: N rows, G groups, P parts of the curve (a share of the labels and a draw), B samples,
T heads.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from visual_taxonomy.decision.bootstrap import AnswerPairs, Units, draw_scores
from visual_taxonomy.decision.intervals import Interval
from visual_taxonomy.decision.score_counts import LabelledCells, ScoreCounts, Scores
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.probing.encoded import Encoded

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of the training labels: halved three times, written 12, 25, 50 and 100 %."""

DRAWS = 3
"""Random orders of the products, each giving its own subsets; all of the labels are the same."""

MORE = 500
"""Labels whose expected gain is computed."""

_LEAST_ERROR = 0.01
"""Of 1 - HM in a power law: a score of 1 has the logarithm of 0, and a hundred held-out labels
cannot tell less from it."""

_SAMPLES = 1000
_ENDS = (0.025, 0.975)


class Part(NamedTuple):
    """A part of the labels, and what the probe fitted to it answers."""

    share: float
    draw: int
    """Number of the random order; -1 for all labels, which every draw has for its last part."""
    labels: np.ndarray
    """[T] training labels of each head."""
    answers: np.ndarray
    """[N, A] classes of the validation rows."""


class Now(NamedTuple):
    """Where a curve goes on from."""

    labels: float
    hm: np.ndarray
    """[B]"""


class Point(NamedTuple):
    """A head, or all of them, at one share of the labels: the mean over the draws."""

    share: float
    labels: float
    """Training labels."""
    hm: Interval
    micro: Interval
    macro: Interval


class Curve(NamedTuple):
    """The learning curve of a head."""

    task: str
    points: tuple[Point, ...]
    gain: Interval
    """Expected change of HM by `MORE` more labels of this head."""


class LearningCurve(NamedTuple):
    """The curves of all heads that have validation labels, and of the mean over them."""

    overall: tuple[Point, ...]
    curves: tuple[Curve, ...]
    """The head that gains most first."""
    backtest: float
    """Mean over heads of |HM at all labels - what the smaller parts foretold|; NaN without."""


def nested_order(categories: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """[N] the share of the labels from which on a row is in: whole groups, in random order.

    Rows with a value up to s are a part of s in each category, nearly; a smaller part lies within
    each larger one, and every row has a value of at most 1.

    Args:
        categories: [N] category indices.
        groups: [N] near-duplicates have the same one, and are in or out together.
        seed: Of the order.

    Example:
        >>> order = nested_order(np.zeros(4, int), np.array([0, 0, 1, 2]), seed=0)
        >>> bool(order[0] == order[1]), sorted(set(order.tolist()))[-1]
        (True, 1.0)
    """
    places = np.unique(groups, return_inverse=True)[1]
    turn = np.random.default_rng(seed).permutation(places.max(initial=-1) + 1)[places]
    share = np.zeros(len(categories))
    for category in np.unique(categories):
        rows = np.flatnonzero(categories == category)
        # Rows whose group comes no later, as a share of the category.
        share[rows] = np.searchsorted(np.sort(turn[rows]), turn[rows], side="right") / len(rows)
    # A group that spans categories comes as a whole, when the last of them has its turn.
    of_group = np.zeros(len(np.unique(places)))
    np.maximum.at(of_group, places, share)
    return of_group[places]


def fit_parts(
    training: Encoded,
    groups: np.ndarray,
    seed: int,
    answer: Callable[[Encoded], tuple[np.ndarray, np.ndarray]],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Part]:
    """The parts of the curve, from the smallest on.

    Args:
        training: The training rows.
        groups: [N] their near-duplicate groups.
        seed: Of the orders.
        answer: From training rows to [T] labels of each head and answers to the validation rows.
        on_progress: Called with the number of parts done, and of all.
    """
    asked = [(share, draw) for share in SHARES[:-1] for draw in range(DRAWS)] + [(1.0, -1)]
    orders = [nested_order(training.categories, groups, seed + draw) for draw in range(DRAWS)]
    parts = []
    for done, (share, draw) in enumerate(asked, start=1):
        # Rounding must not leave out a row at its own share.
        is_in = orders[draw] <= share + 1e-9
        parts.append(Part(share, draw, *answer(training.take(is_in))))
        on_progress(done, len(asked))
    return parts


def learning_curve(
    taxonomy: Taxonomy,
    parts: Sequence[Part],
    targets: np.ndarray,
    categories: np.ndarray,
    groups: np.ndarray,
    seed: int = 0,
) -> LearningCurve:
    """Scores at every share with 95 % intervals, and the expected gain from `MORE` labels.

    The gain is that of a power law (`expected_gain`), fitted for each of B bootstrap samples, which
    weight the validation products (the same for all parts) and the draws of the training labels. So
    the interval holds both what is left to chance: which products are scored, and which were
    labelled.

    Args:
        taxonomy: T tasks.
        parts: Of `fit_parts`.
        targets: [N, A] labels of the validation rows.
        categories: [N] their categories.
        groups: [N] their near-duplicate groups.
        seed: Of the samples.
    """
    counts = ScoreCounts(taxonomy)
    cells = LabelledCells.of(taxonomy, targets, categories)
    scores = _scores(counts, cells, parts, Units.of(groups[cells.rows]), seed)
    has_labels = np.flatnonzero(~np.isnan(scores.hm[0, -1])).tolist()
    weights = _weights_of_draws(parts, seed)
    curves = [
        _curve(taxonomy.task_names[task], parts, scores, weights, task) for task in has_labels
    ]
    # The one mean as the column of a head of its own.
    means = Scores(*(counts.mean(values)[:, :, None] for values in scores))
    misses = [abs(foretold - all_) for foretold, all_ in _foretold(parts, scores.hm[0])]
    return LearningCurve(
        _points(parts, [float(part.labels.sum()) for part in parts], means, 0),
        tuple(sorted(curves, key=lambda each: -_sortable(each.gain.value))),
        float(np.mean(misses)) if misses else math.nan,
    )


def _scores(
    counts: ScoreCounts, cells: LabelledCells, parts: Sequence[Part], units: Units, seed: int
) -> Scores:
    """[1 + B, P, T]: the scores themselves, then those of B bootstrap samples."""
    sets = [
        AnswerPairs(counts, cells.heads, cells.labels, part.answers[cells.rows, cells.slots])
        for part in parts
    ]
    points = [pairs.scores(np.ones((1, len(cells.rows)))) for pairs in sets]
    drawn = draw_scores(sets, units, _SAMPLES, seed)
    of_parts = [
        [np.concatenate(pair) for pair in zip(point, sample, strict=True)]
        for point, sample in zip(points, drawn, strict=True)
    ]
    return Scores(*(np.stack(values, axis=1) for values in zip(*of_parts, strict=True)))


def _sortable(gain: float) -> float:
    return gain if math.isfinite(gain) else -math.inf


def _curve(
    name: str,
    parts: Sequence[Part],
    scores: Scores,
    weights: np.ndarray,
    task: int,
) -> Curve:
    labels = [float(part.labels[task]) for part in parts]
    hm = scores.hm[:, :, task]
    gains = expected_gain(np.array(labels), hm, weights, Now(labels[-1], hm[:, -1]))
    gain = Interval(float(gains[0]), *map(float, np.quantile(gains[1:], _ENDS)))
    return Curve(name, _points(parts, labels, scores, task), gain)


def expected_gain(
    labels: np.ndarray, hm: np.ndarray, weights: np.ndarray, now: Now, more: int = MORE
) -> np.ndarray:
    """[B] what a power law through [B, P] scores expects of more labels.

        1 - HM = a labels^-b,   gain = (1 - HM now) (1 - (1 + more / labels now)^-b)

    by weighted least squares of log(1 - HM) on log(labels), with b held in [0, 1]. NaN where the
    parts with labels all have equally many.

    Args:
        labels: [P] training labels of each part; parts without any take no part.
        hm: [B, P] scores.
        weights: [B, P] weights of the parts.
        now: Labels and scores to start from.
        more: Labels that would come.

    Example:
        >>> labels, hm = np.array([100, 200, 400]), np.array([[0.2, 0.6, 0.8]])
        >>> expected_gain(labels, hm, np.ones((1, 3)), Now(400, hm[:, 2]), more=400).round(3)
        array([0.1])
    """
    known = labels > 0
    if len(np.unique(labels[known])) < 2:
        return np.full(len(hm), np.nan)
    x, w = np.log(labels[known]), weights[:, known]
    y = np.log(np.maximum(1.0 - hm[:, known], _LEAST_ERROR))
    w = w / w.sum(axis=1, keepdims=True)
    dx = x - (w * x).sum(axis=1, keepdims=True)
    slope = (w * dx * y).sum(axis=1) / (w * dx**2).sum(axis=1)
    # More labels do no harm: a curve falls where its first parts lacked the rare classes, which
    # then count in no macro average. And no error falls faster than that of a mean, 1 / labels.
    b = np.clip(-slope, 0.0, 1.0)
    return (1.0 - now.hm) * -np.expm1(-b * math.log1p(more / now.labels))


def _weights_of_draws(parts: Sequence[Part], seed: int) -> np.ndarray:
    """[1 + B, P] weights: 1 for the scores themselves, then exponential ones, one a draw."""
    generator = np.random.default_rng((seed, 1))
    of_draws = generator.standard_exponential((_SAMPLES, DRAWS))
    weights = np.ones((1 + _SAMPLES, len(parts)))
    for place, part in enumerate(parts):
        # All labels end the chain of every draw: as heavy as all of them together.
        weights[0, place] = 1.0 if part.draw >= 0 else DRAWS
        weights[1:, place] = of_draws[:, part.draw] if part.draw >= 0 else of_draws.sum(axis=1)
    return weights


def _points(
    parts: Sequence[Part], labels: Sequence[float], scores: Scores, task: int
) -> tuple[Point, ...]:
    points = []
    for share in SHARES:
        places = [place for place, part in enumerate(parts) if part.share == share]
        intervals = []
        for values in scores:
            mean = values[:, places, task].mean(axis=1)
            ends = np.quantile(mean[1:], _ENDS)
            intervals.append(Interval(*map(float, (mean[0], *ends))))
        points.append(Point(share, float(np.mean([labels[p] for p in places])), *intervals))
    return tuple(points)


def _foretold(parts: Sequence[Part], hm: np.ndarray) -> list[tuple[float, float]]:
    """For each head: HM at all labels as the smaller parts foretell it, and as it is."""
    found = []
    for task in np.flatnonzero(~np.isnan(hm[-1])):
        labels = np.array([float(part.labels[task]) for part in parts])
        ends = [place for place, part in enumerate(parts) if part.share == SHARES[-2]]
        half, all_ = labels[ends].mean(), labels[-1]
        if half <= 0 or all_ <= half:
            continue
        smaller, now = hm[None, :-1, task], Now(half, hm[ends, task].mean(keepdims=True))
        more = int(all_ - half)
        gain = expected_gain(labels[:-1], smaller, np.ones_like(smaller), now, more)[0]
        if math.isfinite(gain):
            found.append((float(now.hm[0] + gain), float(hm[-1, task])))
    return found
