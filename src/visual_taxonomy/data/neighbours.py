"""Connect the thumbnails that resemble each other, without comparing all pairs.

Shapes: N thumbnails, P pixel values of each, C columns, n members of a part, M of a sample.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from visual_taxonomy.data.forest import Forest

# Principal components: their distance is a lower bound of the true one, so nothing near is lost.
# More of them cost memory; fewer let more pairs through to the pixels.
_EXACT = 32
# Random directions catch what the components miss, where many images look much alike.
_RANDOM = 16
# Standard deviations of a random column that a near pair may be apart; at the very limit, a pair is
# further apart in one of 16 columns with probability 6e-7, at 0.9 of the limit with 2e-8.
_MARGIN = 5.5

# Members of a part that are compared all with all.
_LEAF = 256
# Spread of a part, in limits, below which it may be a crowd.
_NARROW = 0.5
# Share of a part that must be near its centre to be a crowd.
_CROWD = 0.1
# Share of pairs that columns cannot tell apart from which one product is the faster check.
_DENSE = 0.02
# Compared at a time, so that groups that have met meanwhile are not compared any more.
_PAIRS = 4096
# Rows at a time: 4096 x 4096 distances in float32 are 64 MB.
_TILE = 4096
# Members that a part is judged by: its spread, and whether it is a crowd.
_SAMPLE = 512
# Rows that the components are fitted to; a few thousand fix 32 directions well enough.
_FIT = 4096


class _Part(NamedTuple):
    """Work: compare natives with each other and with guests, but not guests with each other."""

    natives: np.ndarray
    guests: np.ndarray


class Neighbours:
    """Finds the pairs of N thumbnails that are at most a limit apart, and connects them.

    Two thumbnails are near if rms(a - b) <= min(limit[a], limit[b]). Like in a k-d tree, a part is
    halved along its widest column; the upper half visits the lower one as guests, and guests stay
    only where the box around the natives is within their limit. Small parts are compared all with
    all. What no column separates may be a crowd around one point, such as a million white
    images: those near its centre are connected through it, and what is connected already is
    not compared.

    The first columns are principal components of a sample, scaled so that distances in them never
    exceed the rms of the thumbnails: they lose no pair. Images of noise have no principal
    components; for them there are random directions, along which thumbnails differ by their
    rms on average. A near pair that differs by more than `_MARGIN` times that is lost.

    Args:
        thumbnails: [.., P] uint8.
        rows: [N] which of them to compare.
        limits: [N] float32 limit of each, in grey levels, > 0.
    """

    def __init__(self, thumbnails: np.ndarray, rows: np.ndarray, limits: np.ndarray) -> None:
        self.thumbnails = thumbnails
        self.rows = rows
        self.limits = limits
        self._forest = Forest(len(rows))
        # A little wider than the limit: the columns are rounded to float32.
        self._reach = limits * np.float32(1.001) + np.float32(0.01)
        self._columns = _columns(thumbnails, rows)
        exact = self._columns[:, :_EXACT]
        self._sizes = np.einsum("nc,nc->n", exact, exact)

    def groups(self) -> np.ndarray:
        """[N] the first thumbnail that each is connected with, by way of others too."""
        everything = np.arange(len(self.rows))
        waiting = [_Part(everything, everything[:0])]
        while waiting:
            # From the end, so that the search goes into depth and few parts wait at a time.
            natives, guests = waiting.pop()
            # Members of one group already: only guests of other groups can still change anything.
            roots = self._forest.roots(natives)
            is_crowd = bool((roots == roots[:1]).all())
            if is_crowd:
                guests = guests[self._forest.roots(guests) != roots[:1]]
            if len(natives) > _LEAF and (len(guests) or not is_crowd):
                waiting += self._smaller(_Part(natives, guests), is_crowd)
                continue
            if not is_crowd:
                self._compare(natives, natives)
            for tile in _tiles(guests):
                self._compare(natives, tile)
        return self._forest.roots(everything)

    def _smaller(self, part: _Part, is_crowd: bool) -> list[_Part]:
        """Parts with less work than this one, the last first."""
        sample = _thinned(part.natives, _SAMPLE)
        spread = self._columns[sample].std(0)
        if not is_crowd and spread.max() < _NARROW * self._reach[sample].mean():
            parts = self._without_crowd(part, sample)
            if parts:
                return parts
        along = self._columns[part.natives, spread.argmax()]
        # By rank, not by value: equal values would otherwise all fall on one side, and it would not
        # end.
        order = np.argpartition(along, len(along) // 2)
        below, above = np.array_split(part.natives[order], 2)
        visitors = part.guests if is_crowd else np.concatenate([above, part.guests])
        return [
            _Part(below, self._visiting(below, visitors)),
            _Part(above, self._visiting(above, part.guests)),
        ]

    def _visiting(self, natives: np.ndarray, guests: np.ndarray) -> np.ndarray:
        """The guests that may be near a native: those near the box around all of them."""
        kept = []
        columns = self._columns[natives]
        low, high = columns.min(0), columns.max(0)
        most = self._reach[natives].max()
        for tile in _tiles(guests):
            columns = self._columns[tile]
            gaps = np.maximum(low - columns, columns - high)
            np.maximum(gaps, 0, out=gaps)
            # A pair is near within the smaller of its two limits.
            reach = np.minimum(self._reach[tile], most)
            exact = gaps[:, :_EXACT]
            near = np.einsum("nc,nc->n", exact, exact) <= reach**2
            near &= gaps[:, _EXACT:].max(1) <= reach
            kept.append(tile[near])
        return np.concatenate(kept) if kept else guests

    def _without_crowd(self, part: _Part, sample: np.ndarray) -> list[_Part]:
        """Connect those around one centre; nothing if they are few."""
        natives = part.natives
        centre = sample[self._may_be_near(sample, sample).sum(1).argmax()]
        alike = np.concatenate([self._near(tile, centre) for tile in _tiles(natives)])
        if alike.mean() < _CROWD:
            return []
        crowd, others = natives[alike], natives[~alike]
        self._forest.connect(crowd, np.full(len(crowd), centre))
        guests = np.concatenate([others, part.guests])
        return [_Part(crowd, guests), *([_Part(others, part.guests)] if len(others) else [])]

    def _compare(self, left: np.ndarray, right: np.ndarray) -> None:
        """Connect the near pairs of two tiles, or of one with itself."""
        may_be_near = self._may_be_near(left, right)
        if may_be_near.mean() > _DENSE:
            may_be_near &= self._near_in_product(left, right)
        rows, columns = np.nonzero(may_be_near)
        left, right = left[rows], right[columns]
        while len(left):
            # Bit by bit: once two are connected, whole crowds need no comparison any more.
            apart = self._forest.roots(left) != self._forest.roots(right)
            left, right = left[apart], right[apart]
            near = self._near(left[:_PAIRS], right[:_PAIRS])
            self._forest.connect(left[:_PAIRS][near], right[:_PAIRS][near])
            left, right = left[_PAIRS:], right[_PAIRS:]

    def _may_be_near(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """[n, n] bool, False only for pairs that are not near."""
        exact = self._columns[:, :_EXACT]
        squared = exact[left] @ exact[right].T
        squared *= -2
        squared += self._sizes[left, None]
        squared += self._sizes[right]
        return squared <= np.minimum(self._reach[left, None], self._reach[right]) ** 2

    def _near(self, left: np.ndarray, right: np.ndarray | np.int64) -> np.ndarray:
        """Whether left[e] and right[e] are near; `right` may be one for all."""
        differences = self._pixels(left) - self._pixels(right)
        squared = np.einsum("ep,ep->e", differences, differences)
        return squared <= self._squared_limits(self.limits[left], self.limits[right])

    def _near_in_product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """[n, n] the same of all pairs, by one product; its sums of integers are exact too."""
        one, other = self._pixels(left), self._pixels(right)
        squared = one @ other.T
        squared *= -2
        squared += np.einsum("np,np->n", one, one)[:, None]
        squared += np.einsum("np,np->n", other, other)
        return squared <= self._squared_limits(self.limits[left, None], self.limits[right])

    def _squared_limits(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.minimum(left, right) ** 2 * self.thumbnails.shape[1]

    def _pixels(self, members: np.ndarray | np.int64) -> np.ndarray:
        # Centred: squares of a whole thumbnail then sum up to less than 2^24, float32's integers.
        return self.thumbnails[self.rows[members]].astype(np.float32) - 128


def first_copies(thumbnails: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[N] the first of N rows that is equal to each, byte by byte.

    Equal thumbnails have equal checksums, so they are neighbours once sorted. Should others with
    the same checksum come between, some keep their own row: `Neighbours` finds them.
    """
    words = -(-thumbnails.shape[1] // 8)
    # Odd factors are invertible modulo 2^64, so no single changed word can go unnoticed.
    factors = np.random.default_rng(0).integers(2**63, size=words, dtype=np.uint64) * 2 + 1
    checksums = np.empty(len(rows), dtype=np.uint64)
    for part in _chunks(len(rows)):
        pixels = thumbnails[rows[part]]
        padded = np.pad(pixels, ((0, 0), (0, 8 * words - pixels.shape[1])))
        # Arrays of uint64 wrap around without a warning: this is arithmetic modulo 2^64.
        checksums[part] = (padded.view(np.uint64) * factors).sum(1)
    # Stable, so that among equal checksums the first row comes first.
    order = np.argsort(checksums, kind="stable")
    alike = 1 + np.flatnonzero(np.diff(checksums[order]) == 0)
    firsts = np.arange(len(rows))
    for part in _chunks(len(alike)):
        here = alike[part]
        # Equal checksums are a hint only; the pixels decide.
        same = thumbnails[rows[order[here]]] == thumbnails[rows[order[here - 1]]]
        firsts[here[same.all(1)]] = 0
    copies = np.empty_like(rows)
    # A copy has 0 there, so the running maximum gives it the place of the first of its kind.
    copies[order] = rows[order[np.maximum.accumulate(firsts)]]
    return copies


def _columns(thumbnails: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[N, C] float32: principal components, then random directions shortened by their margin."""
    size = thumbnails.shape[1]
    sample = thumbnails[_thinned(rows, _FIT)].astype(np.float32)
    mean = sample.mean(0)
    sample -= mean
    # eigh sorts eigenvalues upwards: the principal components are the last columns.
    components = np.linalg.eigh(sample.T @ sample)[1][:, : -_EXACT - 1 : -1]
    random = np.random.default_rng(0).standard_normal((size, _RANDOM))
    # Divided by sqrt(P), distances are rms like the limits; along one random unit vector they are
    # on average so without it.
    directions = np.hstack([components / np.sqrt(size), np.linalg.qr(random)[0] / _MARGIN])
    directions = directions.astype(np.float32)
    columns = np.empty((len(rows), directions.shape[1]), dtype=np.float32)
    for part in _chunks(len(rows)):
        columns[part] = (thumbnails[rows[part]] - mean) @ directions
    return columns


def _chunks(count: int) -> Iterator[slice]:
    """Parts of a long array, so that what is computed of it stays small."""
    return (slice(start, start + _TILE) for start in range(0, count, _TILE))


def _thinned(rows: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def _tiles(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _TILE] for start in range(0, len(rows), _TILE)]
