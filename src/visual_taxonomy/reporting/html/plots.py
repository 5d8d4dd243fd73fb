"""Line plots as SVG: where curves, ticks and names go. Colours come from the page's CSS.

Lengths are in units of the drawing, one pixel each on a phone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from visual_taxonomy.reporting.html.blocks import Block
from visual_taxonomy.reporting.style import shorten, spread

WIDTH, HEIGHT = 360, 250
_LEFT, _TOP, _BOTTOM = 40, 12, 38
_RIGHT = 100
"""Room for the names of the curves, which stand at their ends."""
_NAME = 16
"""Most letters of a name that fit there."""
_LINE = 14.0
"""From one name to the next, at least; closer ones run into each other."""
_STEPS = (1, 2, 2.5, 5, 10)


class Tick(NamedTuple):
    """A mark of an axis."""

    place: float
    text: str


class Label(NamedTuple):
    """The name of a curve at its end."""

    y: float
    text: str
    colour: int


@dataclass(frozen=True)
class Curve:
    """A line through points.

    Args:
        name: Of the curve.
        points: (x, y) from left to right; a value that is not finite leaves a gap.
        colour: Number of its colour in the CSS: 0 is faint, 1 stands out, 2 is its opponent.
        has_dots: Whether each point is marked.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 1
    has_dots: bool = False

    def pieces(self) -> Iterator[list[tuple[float, float]]]:
        """The runs of points without a gap."""
        piece: list[tuple[float, float]] = []
        for x, y in [*self.points, (math.nan, math.nan)]:
            if math.isfinite(x) and math.isfinite(y):
                piece.append((x, y))
            elif piece:
                yield piece
                piece = []


@dataclass(frozen=True)
class Plot(Block):
    """Curves over one pair of axes.

    Args:
        x_name: What the horizontal axis shows.
        y_name: What the vertical axis shows.
        curves: What is drawn; at least one point in all is finite.
        x_range: Ends of the horizontal axis; None takes those of the points.
        y_range: The same of the vertical one.
        has_diagonal: Whether the line y = x is drawn.

    Example:
        >>> plot = Plot("epoch", "HM", [Curve("model", [(1, 0.2), (2, 0.4), (3, math.nan)])])
        >>> [tick.text for tick in plot.y_ticks()]
        ['0.20', '0.25', '0.30', '0.35', '0.40']
        >>> plot.paths(plot.curves[0])
        ['M40.0 212.0 L260.0 12.0']
    """

    template: ClassVar[str] = "plot.html"
    x_name: str
    y_name: str
    curves: Sequence[Curve]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    has_diagonal: bool = False

    width: ClassVar[int] = WIDTH
    height: ClassVar[int] = HEIGHT
    left: ClassVar[int] = _LEFT
    top: ClassVar[int] = _TOP
    right: ClassVar[int] = WIDTH - _RIGHT
    bottom: ClassVar[int] = HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        """Where a value stands, from the left."""
        low, high = _widened(self.x_range or self._ends(0))
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Where a value stands, from the top."""
        low, high = _widened(self.y_range or self._ends(1))
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def x_ticks(self) -> list[Tick]:
        """Marks of the horizontal axis."""
        return [Tick(self.x(value), text) for value, text in _ticks(self.x_range or self._ends(0))]

    def y_ticks(self) -> list[Tick]:
        """Marks of the vertical axis."""
        return [Tick(self.y(value), text) for value, text in _ticks(self.y_range or self._ends(1))]

    def dots(self, curve: Curve) -> list[tuple[float, float]]:
        """Places to mark: all points if it is asked for, else those with a gap on either side."""
        return [
            (self.x(x), self.y(y))
            for piece in curve.pieces()
            if curve.has_dots or len(piece) == 1
            for x, y in piece
        ]

    def paths(self, curve: Curve) -> list[str]:
        """The SVG path of each run of points without a gap."""
        return [
            "M" + " L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in piece)
            for piece in curve.pieces()
        ]

    def labels(self) -> list[Label]:
        """Names at the ends of the curves, moved apart where they would touch."""
        ends = [
            (self.y(pieces[-1][-1][1]), curve)
            for curve in self.curves
            if (pieces := list(curve.pieces()))
        ]
        places = spread([y for y, _ in ends], gap=_LINE)
        below = max(0.0, max(places) - self.bottom)
        return [
            Label(place - below, shorten(curve.name, _NAME), curve.colour)
            for place, (_, curve) in zip(places, ends, strict=True)
        ]

    def _ends(self, axis: int) -> tuple[float, float]:
        values = [p[axis] for curve in self.curves for piece in curve.pieces() for p in piece]
        return min(values), max(values)


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    """Ends that are apart: one epoch is a point in the middle of its axis."""
    low, high = ends
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(ends: tuple[float, float]) -> list[tuple[float, str]]:
    """Three to six round numbers between the ends, with as many digits as they need."""
    low, high = ends
    if high <= low:
        return [(low, f"{low:g}")]
    step = _round_step((high - low) / 5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += any(abs(round(value, digits) - value) > step / 100 for value in values)
    return [(value, f"{value:.{digits}f}") for value in values]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    steps = [power * step for step in _STEPS]
    return next(b if least > a * (1 + 1e-9) else a for a, b in pairwise(steps) if least <= b)
