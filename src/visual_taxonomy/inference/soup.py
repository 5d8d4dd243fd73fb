"""Several checkpoints of one model as one: the mean of their weights.

Shapes: N rows, A slots.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from visual_taxonomy.checkpoint import Checkpoint, misfit
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.folds import assign_folds
from visual_taxonomy.errors import InputError
from visual_taxonomy.evaluation import evaluate

_SAME = (
    *("backbone", "backbone_parameters", "image_size", "normalization", "interpolation"),
    *("batch_norm", "inter_linear", "head", "tta"),
)
"""Settings of the model by which weights of equal shapes would still answer differently."""

Subset = tuple[int, ...]
"""Numbers of checkpoints, ascending."""


class Greedy(NamedTuple):
    """A greedy soup, and what it is worth."""

    scores: tuple[float, ...]
    """HM-F1 of each checkpoint alone, on all rows."""
    chosen: Subset
    """The checkpoints whose mean it is."""
    score: float
    """HM-F1 of it on the rows that chose it: too good."""
    cross_fitted: float
    """HM-F1 where the soup of each fold was chosen on the other folds."""


def averaged(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The mean of the weights, and of the statistics of every BatchNorm; counters of the first.

    The result has no scores and no decision, for those of its parts are not its own. The words and
    known labels of the first stay, but answer nothing until it is calibrated. Class counts
    are averaged, too: checkpoints of several folds have others. The mean of statistics is exact
    where they did not train, and near where the checkpoints are.

    Args:
        checkpoints: One or more.

    Raises:
        InputError: They are not of one taxonomy and model; the first that differs is named.
    """
    first = checkpoints[0]
    for other in checkpoints[1:]:
        _check_alike(first, other)
    weights = {name: _mean([each.weights[name] for each in checkpoints]) for name in first.weights}
    counts = {
        name: np.mean([each.class_counts[name] for each in checkpoints], axis=0)
        for name in first.class_counts
        if all(name in each.class_counts for each in checkpoints)
    }
    # How they answer beside the images was fitted to one of the models.
    witnesses = None if first.witnesses is None else replace(first.witnesses, combinations={})
    plain = {name: found.round().astype(int).tolist() for name, found in counts.items()}
    return replace(
        first,
        weights=weights,
        class_counts=plain,
        epoch=-1,
        metrics={},
        training={},
        decision=None,
        decision_figures={},
        held_out=None,
        witnesses=witnesses,
    )


def interpolated(checkpoint: Checkpoint, start: Mapping[str, Tensor], share: float) -> Checkpoint:
    """A checkpoint on the line from its start weights: share * weights + (1 - share) * start.

    Args:
        checkpoint: Its other weights stay as they are.
        start: Weights by name, such as those of the backbone before training; heads start random,
            which is nothing to go back to.
        share: Of the checkpoint, in [0, 1].

    References:
        Wortsman et al., CVPR 2022, https://arxiv.org/abs/2109.01903.
    """
    weights = dict(checkpoint.weights)
    for name, begun in start.items():
        found = weights[name]
        if found.is_floating_point():
            weights[name] = begun.to(found).lerp(found, share)
    return replace(checkpoint, weights=weights)


def greedy_soup(
    classes_of: Callable[[Subset], np.ndarray],
    number: int,
    table: Table,
    groups: np.ndarray,
    num_folds: int = 5,
) -> Greedy:
    """Take the best checkpoint, then each next one that does not lower the score of the mean.

    The choice looks at the labels, so its score on the same rows is too good. The rows are cut into
    folds: each is scored by the soup that the other folds choose, and these answers are scored
    together.

    Args:
        classes_of: From a subset to the classes [N, A] that the mean of its weights answers.
        number: Of checkpoints.
        table: N labelled rows.
        groups: [N]; rows of one group stay in one fold.
        num_folds: 2 or more.

    References:
        Wortsman et al., ICML 2022, https://arxiv.org/abs/2203.05482 (algorithm 1).
    """
    answers = cache(classes_of)
    folds = assign_folds(table.categories, groups, num_folds, seed=0)
    pooled = np.empty_like(table.targets)
    for fold in np.unique(folds):
        chosen = _choose(answers, number, table, np.flatnonzero(folds != fold))
        pooled[folds == fold] = answers(chosen)[folds == fold]
    rows = np.arange(len(table))
    chosen = _choose(answers, number, table, rows)
    alone = tuple(_score(answers((each,)), table, rows) for each in range(number))
    own, other = _score(answers(chosen), table, rows), _score(pooled, table, rows)
    return Greedy(alone, chosen, own, other)


def _choose(
    answers: Callable[[Subset], np.ndarray], number: int, table: Table, rows: np.ndarray
) -> Subset:
    scores = [_score(answers((each,)), table, rows) for each in range(number)]
    best, *others = sorted(range(number), key=lambda each: -scores[each])
    chosen: Subset = (best,)
    score = scores[best]
    for each in others:
        wider = tuple(sorted((*chosen, each)))
        found = _score(answers(wider), table, rows)
        if found >= score:
            chosen, score = wider, found
    return chosen


def _score(classes: np.ndarray, table: Table, rows: np.ndarray) -> float:
    part = (classes[rows], table.targets[rows], table.categories[rows])
    return evaluate(table.taxonomy, *part).hm


def _check_alike(first: Checkpoint, other: Checkpoint) -> None:
    if other.taxonomy != first.taxonomy:
        raise InputError(f"{other.source}: of another taxonomy than {first.source}")
    for name in _SAME:
        one, two = getattr(first.model, name), getattr(other.model, name)
        if one != two:
            raise InputError(
                f"{other.source}: `{name}` is {two}, but {one} in {first.source}; the weights of "
                "different models have no mean"
            )
    reason = misfit(other.weights, first.weights)
    if reason:
        raise InputError(f"{other.source}: no mean with {first.source}: {reason}")


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    # In float64, so that the mean of equal weights is these weights, bit for bit.
    return torch.stack([each.double() for each in tensors]).mean(dim=0).to(tensors[0].dtype)
