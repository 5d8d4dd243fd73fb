"""Batches across categories in which rows with rare classes come more often.

Shapes: N rows, A slots, C classes of an attribute.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from typing_extensions import override

from visual_taxonomy.data.sampler import BatchSampler, Draw
from visual_taxonomy.taxonomy import Taxonomy


def repeat_factors(taxonomy: Taxonomy, categories: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How often each row is to come [N], in proportion: 1 for a row without a rare class.

        factor[row] = max over its labels of max(1, sqrt((1 / C) / share of the class))

    Shares are of the labelled rows of the attribute, C counts its classes that have a label: a
    class is rare that is less common than if all were alike. (In LVIS the threshold is a setting.)

    Args:
        taxonomy: Which slot is which attribute.
        categories: [N] category indices.
        targets: [N, A] class indices by slot, -1 where unknown.

    References:
        Repeat-factor sampling: Gupta, Dollár, Girshick, CVPR 2019,
        https://arxiv.org/abs/1908.03195.

    Example:
        >>> taxonomy = Taxonomy.from_dict({"Sarees": {"border": ["zari", "no"]}})
        >>> targets = np.array([[0], [1], [1], [1], [-1]])
        >>> repeat_factors(taxonomy, np.zeros(5, int), targets)  # sqrt(0.5 / 0.25)
        array([1.41421356, 1.        , 1.        , 1.        , 1.        ])
    """
    factors = np.ones(len(categories))
    for category, tasks in enumerate(taxonomy.slots):
        of_category = np.flatnonzero(categories == category)
        for slot in range(len(tasks)):
            labels = targets[of_category, slot]
            rows, labels = of_category[labels >= 0], labels[labels >= 0]
            counts = np.bincount(labels)
            threshold = len(labels) / max(1, int(np.count_nonzero(counts)))
            # The largest of a row: averaged, one rare label would drown in nine common ones.
            factors[rows] = np.maximum(factors[rows], np.sqrt(threshold / counts[labels]))
    return factors


class BalancedSampler(BatchSampler):
    """Batches across categories with each row as often as its weight says, from (seed, epoch).

    An epoch has N draws, as many as there are rows: a row of weight w comes N w / sum(w) times on
    average over epochs, and in each epoch that number rounded down or up (systematic sampling). So
    rows of high weight come several times, each time augmented anew, and those of low weight are
    left out of some epochs.

    Args:
        weights: [N] of the rows, > 0.
        batch_size: B, rows of a batch over all processes.
        seed: Of all epochs; >= 0.
        rank: Number of this process, from 0.
        world_size: Number of processes.

    Raises:
        InputError: A batch has no row for each process.

    Example:
        >>> sampler = BalancedSampler(np.array([2.0, 1.0, 1.0]), batch_size=3, seed=0)
        >>> [draw.row for draw in next(iter(sampler))]  # 1.5, 0.75 and 0.75 times on average
        [1, 0, 2]
    """

    def __init__(
        self,
        weights: np.ndarray,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        one_pool = np.zeros(len(weights), dtype=np.int64)
        super().__init__(one_pool, batch_size, "joint", seed, rank, world_size)
        self._weights = weights

    @override
    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, first = self._epoch, self._step
        seen: Counter[int] = Counter()
        # Those before the position are gone through, too: a row may have come in them.
        for step, rows in enumerate(self._batches(epoch)):
            draws = []
            for row in rows.tolist():
                draws.append(Draw(row, epoch, seen[row]))
                seen[row] += 1
            if step >= first:
                yield self._share(draws, epoch)

    @override
    def _batches(self, epoch: int) -> list[np.ndarray]:
        random = np.random.Generator(np.random.Philox([self._seed, epoch]))
        size = len(self._weights)
        order = random.permutation(size)
        # Along a line of length N each row has its share; it comes once for each whole number,
        # shifted alike for all, that lies in it.
        ends = self._weights[order].cumsum()
        ends *= size / ends[-1:]
        ends[-1:] = size  # rounding must not cost the last draw
        times = np.diff(np.floor(ends + random.random()), prepend=0.0).astype(np.int64)
        rows = random.permutation(np.repeat(order, times))
        return [rows[i : i + self._batch_size] for i in range(0, size, self._batch_size)]
