"""Which rows make which batch: each row once an epoch, in an order that (seed, epoch) alone gives.

Shapes: N rows, B batch size, W processes (world size).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler
from typing_extensions import override

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.errors import InputError

FILLER = -1
"""The row of a draw that stands for no image."""

BATCH_SAMPLINGS = ("mixed", "sequential", "joint")
"""The values of `batch_sampling`."""


class Draw(NamedTuple):
    """One image of a batch; with the epoch, its random augmentation needs no hidden state."""

    row: int
    """Row of the table, or `FILLER`."""
    epoch: int
    """Epoch, from 0."""
    copy: int = 0
    """Times that the row has come before in this epoch; its augmentation is another each time."""


class BatchSampler(Sampler[list[Draw]]):
    """Batches of an epoch, each row exactly once, reshuffled each epoch from (seed, epoch).

    - "mixed": one category a batch; the categories take turns in proportion to their batches and
      are all used up together, at the end of the epoch.
    - "sequential": one category a batch; one category after the other, in random order.
    - "joint": batches across categories.

    A category's last batch may be smaller. In a run of W processes, all compute the same global
    batches and process r takes every W-th row of each, from the r-th on; where a batch does not
    divide, the shares are filled up with draws of row `FILLER`, so that all are equally long.

    Args:
        categories: [N] index of the category of each row.
        batch_size: B, rows of a batch over all processes.
        batch_sampling: "mixed", "sequential" or "joint".
        seed: Of all epochs; >= 0.
        rank: r, number of this process, from 0.
        world_size: W, number of processes.

    Raises:
        InputError: There is no such `batch_sampling`, or a batch has no row for each process.

    Example:
        >>> sampler = BatchSampler(np.array([0, 0, 0, 1]), 2, "sequential", seed=0)
        >>> sorted(sorted(draw.row for draw in batch) for batch in sampler)[-1]
        [3]
        >>> len(sampler)
        3
    """

    def __init__(
        self,
        categories: np.ndarray,
        batch_size: int,
        batch_sampling: str,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_sampling not in BATCH_SAMPLINGS:
            raise InputError(f"batch_sampling: {unknown_name(batch_sampling, BATCH_SAMPLINGS)}")
        if batch_size < world_size:
            raise InputError(
                f"batch_size: {batch_size}, expected at least one row for each of the "
                f"{world_size} processes"
            )
        self._batch_size = batch_size
        self._batch_sampling = batch_sampling
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        if batch_sampling == "joint":
            self._pools = [np.arange(len(categories))]
        else:
            self._pools = [np.flatnonzero(categories == each) for each in np.unique(categories)]
        self._epoch = 0
        self._step = 0

    def set_position(self, epoch: int, step: int = 0) -> None:
        """Go to a batch (`step`, from 0) of an epoch: what the next iteration starts with."""
        self._epoch = epoch
        self._step = step

    @property
    def rows_per_batch(self) -> int:
        """Most rows of this process's share of a batch."""
        return -(-self._batch_size // self._world_size)

    def __len__(self) -> int:
        """Batches of a whole epoch, the same in every process."""
        return sum(-(-len(pool) // self._batch_size) for pool in self._pools)

    @override
    def __iter__(self) -> Iterator[list[Draw]]:
        """This process's share of the batches from the position to the end of the epoch."""
        epoch = self._epoch
        # All batches are drawn and the first left out: a resumed run goes on with those that it
        # would have had.
        for rows in self._batches(epoch)[self._step :]:
            yield self._share([Draw(row, epoch) for row in rows.tolist()], epoch)

    def _share(self, draws: list[Draw], epoch: int) -> list[Draw]:
        """What this process takes of a batch."""
        share = draws[self._rank :: self._world_size]
        longest = -(-len(draws) // self._world_size)
        # All processes must gather shares of one size.
        return share + [Draw(FILLER, epoch)] * (longest - len(share))

    def _batches(self, epoch: int) -> list[np.ndarray]:
        # A stream for each epoch: any epoch can be drawn again without those before it, to resume.
        random = np.random.Generator(np.random.Philox([self._seed, epoch]))
        batches: list[np.ndarray] = []
        due: list[float] = []
        for pool in self._pools:
            shuffled = random.permutation(pool)
            starts = range(0, len(pool), self._batch_size)
            batches += [shuffled[start : start + self._batch_size] for start in starts]
            # Without an offset, batches of all categories would be due at the same times, in one
            # order.
            offset = random.random()
            if self._batch_sampling == "mixed":  # batch j of n is due in the j-th n-th of the epoch
                due += [(j + offset) / len(starts) for j in range(len(starts))]
            else:
                due += [offset] * len(starts)
        # Stable: "sequential" keeps the batches of a category together by equal keys.
        return [batches[i] for i in np.argsort(due, kind="stable")]
