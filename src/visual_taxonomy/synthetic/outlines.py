"""Geometry of what is drawn: smooth lines, limbs, places to draw at.

Shapes: P points, N places. A place is [3, 2]: its x axis, its y axis and its origin.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Outline = Points | Sequence[tuple[float, float]]

# Rows: powers 0 to 3 of the step; columns: the four points around a piece.
_CATMULL_ROM = np.array([(0, 2, 0, 0), (-1, 0, 1, 0), (2, -5, 4, -1), (-1, 3, -3, 1)]) / 2


def curve(points: Outline, steps: int = 6) -> Points:
    """A smooth line (Catmull-Rom) through points [P, 2], `steps` pieces between neighbours.

    Example:
        >>> curve([(0, 0), (1, 2), (2, 0)], steps=2).tolist()
        [[0.0, 0.0], [0.4375, 1.125], [1.0, 2.0], [1.5625, 1.125], [2.0, 0.0]]
    """
    p = np.asarray(points, dtype=np.float64)
    # Doubled ends: the first and the last piece need a point beyond them.
    ends = np.concatenate([p[:1], p, p[-1:]])
    neighbours = np.stack([ends[:-3], ends[1:-2], ends[2:-1], ends[3:]], axis=1)
    weights = (np.arange(steps)[:, None] / steps) ** np.arange(4) @ _CATMULL_ROM
    return np.concatenate([(weights @ neighbours).reshape(-1, 2), p[-1:]])


def mirrored(half: Outline) -> Points:
    """The closed outline whose right half, from top middle to bottom middle, is given.

    Example:
        >>> mirrored([(0, 0), (1, 1), (0, 2)]).tolist()[3:]
        [[-0.0, 2.0], [-1.0, 1.0], [-0.0, 0.0]]
    """
    right = np.asarray(half, dtype=np.float64)
    return np.concatenate([right, right[::-1] * (-1.0, 1.0)])


def offset(line: Points, distance: float | Points) -> Points:
    """The line moved sideways, to the right of its direction as seen on the image.

    Example:
        >>> offset(np.array([[0.0, 0.0], [0.0, 9.0]]), 2.0).tolist()
        [[-2.0, 0.0], [-2.0, 9.0]]
    """
    right = np.gradient(line, axis=0)[:, ::-1] * (-1.0, 1.0)
    length = np.maximum(np.hypot(right[:, :1], right[:, 1:]), 1e-9)  # two equal points: no move
    return line + right / length * np.reshape(distance, (-1, 1))


def limb(path: Points, width: float | Points) -> Points:
    """The outline of a limb, sleeve or border: `width` on either side of a path [P, 2]."""
    return np.concatenate([offset(path, -np.asarray(width)), offset(path, width)[::-1]])


def at(*origins: tuple[float, float], wide: float = 1.0, high: float | None = None) -> Points:
    """[N, 3, 2] upright places at some origins, `wide` and `high` units large.

    Example:
        >>> at((5, 7), wide=2).tolist()
        [[[2.0, 0.0], [0.0, 2.0], [5.0, 7.0]]]
    """
    axes = np.array([(wide, 0.0), (0.0, wide if high is None else high)])
    return np.array([[*axes, origin] for origin in origins], dtype=np.float64)


def along(line: Points, spacing: float, size: float) -> Points:
    """[N, 3, 2] places every `spacing` along a line; x runs along it and y to its right."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    steps = np.arange(spacing / 2, length[-1], spacing)
    middle = np.stack([np.interp(steps, length, line[:, i]) for i in (0, 1)], axis=1)
    ahead = np.stack([np.interp(steps + 1, length, line[:, i]) for i in (0, 1)], axis=1) - middle
    ahead *= size / np.maximum(np.hypot(ahead[:, :1], ahead[:, 1:]), 1e-9)
    return np.stack([ahead, ahead[:, ::-1] * (-1.0, 1.0), middle], axis=1)
