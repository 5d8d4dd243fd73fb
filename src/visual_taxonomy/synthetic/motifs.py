"""Small pictures that are printed, woven or sewn onto cloth: flowers, peacocks, a cat's face."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Inks = tuple[Colour, Colour, Colour]


class Pen:
    """Draws on a tile whose corners are (-1, -1) and (1, 1).

    Args:
        pixels: Side of the tile.

    Example:
        >>> pen = Pen(20)
        >>> pen.disc(0, 0, 1, (200, 0, 0))
        >>> pen.tile.getpixel((10, 10)), pen.tile.getpixel((0, 0))
        ((200, 0, 0, 255), (0, 0, 0, 0))
    """

    def __init__(self, pixels: int) -> None:
        self.tile = Image.new("RGBA", (pixels, pixels))
        self._draw = ImageDraw.Draw(self.tile)
        self._half = (pixels - 1) / 2

    def disc(self, x: float, y: float, r: float, ink: Colour, ry: float | None = None) -> None:
        """A filled circle, or an ellipse of half axes `r` and `ry`."""
        h, ry = self._half, r if ry is None else ry
        self._draw.ellipse(
            (h + (x - r) * h, h + (y - ry) * h, h + (x + r) * h, h + (y + ry) * h), fill=ink
        )

    def shape(self, points: Sequence[tuple[float, float]], ink: Colour) -> None:
        """A filled polygon."""
        h = self._half
        self._draw.polygon([(h + x * h, h + y * h) for x, y in points], fill=ink)

    def line(self, points: Sequence[tuple[float, float]], ink: Colour, width: float) -> None:
        """A line; `width` in halves of the tile."""
        h = self._half
        stroke = max(1, round(width * h))
        self._draw.line([(h + x * h, h + y * h) for x, y in points], fill=ink, width=stroke)


def _around(count: int, radius: float, start: float = 0.0) -> list[tuple[float, float]]:
    angles = start + np.arange(count) * 2 * np.pi / count
    xs, ys = (np.sin(angles) * radius).tolist(), (-np.cos(angles) * radius).tolist()
    return list(zip(xs, ys, strict=True))


def _flower(pen: Pen, inks: Inks) -> None:
    for x, y in ((-0.62, 0.6), (0.66, 0.56)):
        pen.disc(x, y, 0.3, inks[2], 0.16)
    for x, y in _around(5, 0.5):
        pen.disc(x, y, 0.4, inks[0])
    pen.disc(0, 0, 0.28, inks[1])


def _leaf(pen: Pen, inks: Inks) -> None:
    pen.line(((0.0, 0.95), (0.0, -0.8)), inks[2], 0.12)
    for y in (0.6, 0.1, -0.4):
        for side in (-1, 1):
            tip = (side * 0.8, y - 0.45)
            pen.shape(((0, y), (side * 0.25, y - 0.5), tip, (side * 0.6, y - 0.02)), inks[0])
    pen.shape(((0, -0.98), (0.16, -0.65), (0, -0.4), (-0.16, -0.65)), inks[0])


def _paisley(pen: Pen, inks: Inks) -> None:
    for size, ink in ((1.0, inks[0]), (0.66, inks[2]), (0.4, inks[1])):
        t = np.linspace(0, 2 * np.pi, 22)
        x = size * 0.62 * np.sin(t) * np.sin(t / 2) ** 1.2 + 0.25 * size * np.cos(t / 2) ** 8
        y = size * -0.85 * np.cos(t) * -1 + 0.15 * (1 - size)
        pen.shape(list(zip(x.tolist(), y.tolist(), strict=True)), ink)
    pen.disc(0, 0.4, 0.14, inks[0])


def _elephant(pen: Pen, inks: Inks) -> None:
    body = inks[0]
    pen.disc(0.18, -0.05, 0.62, body, 0.5)
    for x in (-0.3, 0.02, 0.38, 0.62):
        pen.shape(((x - 0.11, 0.1), (x + 0.11, 0.1), (x + 0.11, 0.85), (x - 0.11, 0.85)), body)
    pen.disc(-0.52, -0.25, 0.36, body)
    pen.line(((-0.78, -0.2), (-0.88, 0.3), (-0.8, 0.62), (-0.62, 0.66)), body, 0.18)
    pen.disc(-0.36, -0.25, 0.2, inks[2], 0.28)
    pen.shape(((0.0, -0.55), (0.46, -0.55), (0.52, 0.05), (-0.06, 0.05)), inks[1])
    pen.line(((0.8, -0.1), (0.93, 0.3)), body, 0.1)


def _peacock(pen: Pen, inks: Inks) -> None:
    for i, (x, y) in enumerate(_around(16, 0.74)):
        if i in (7, 8, 9):
            continue
        pen.line(((0, 0.25), (x, y + 0.1)), inks[0], 0.12)
        pen.disc(x, y + 0.1, 0.19, inks[1])
        pen.disc(x, y + 0.1, 0.09, inks[2])
    pen.disc(0, 0.45, 0.26, inks[2], 0.4)
    pen.line(((0, 0.3), (0.05, -0.18)), inks[2], 0.2)
    pen.disc(0.06, -0.24, 0.16, inks[2])
    pen.shape(((0.18, -0.28), (0.4, -0.2), (0.18, -0.14)), inks[1])


def _diamond(pen: Pen, inks: Inks) -> None:
    pen.shape(((0, -1), (0.75, 0), (0, 1), (-0.75, 0)), inks[0])
    pen.shape(((0, -0.55), (0.4, 0), (0, 0.55), (-0.4, 0)), inks[2])
    pen.disc(0, 0, 0.18, inks[1])


def _star(pen: Pen, inks: Inks) -> None:
    pen.disc(0, 0, 0.98, inks[1])
    pen.disc(0, 0, 0.86, inks[2])
    outer, inner = _around(5, 0.82), _around(5, 0.34, np.pi / 5)
    pen.shape([p for pair in zip(outer, inner, strict=True) for p in pair], inks[0])


def _sunset(pen: Pen, inks: Inks) -> None:
    pen.disc(0, 0, 0.95, inks[0])
    for y, width in ((0.15, 0.06), (0.36, 0.1), (0.6, 0.15)):
        pen.line(((-1, y), (1, y)), inks[2], width)
    pen.line(((-0.35, 0.9), (-0.25, -0.3)), inks[1], 0.1)
    for x, y in ((-0.75, -0.25), (-0.6, -0.6), (0.05, -0.6), (0.25, -0.2)):
        pen.line(((-0.25, -0.3), (x, y)), inks[1], 0.13)


def _mountains(pen: Pen, inks: Inks) -> None:
    pen.disc(0.45, -0.5, 0.3, inks[1])
    pen.shape(((-1, 0.7), (-0.35, -0.65), (0.3, 0.7)), inks[0])
    pen.shape(((-0.2, 0.7), (0.45, -0.15), (1, 0.7)), inks[2])
    pen.shape(((-0.53, -0.28), (-0.35, -0.65), (-0.17, -0.28), (-0.35, -0.1)), inks[1])
    pen.line(((-1, 0.82), (1, 0.82)), inks[1], 0.1)


def _cat(pen: Pen, inks: Inks) -> None:
    for side in (-1, 1):
        pen.shape(((side * 0.85, -0.95), (side * 0.78, 0.1), (side * 0.15, -0.5)), inks[0])
    pen.disc(0, 0.15, 0.86, inks[0], 0.76)
    for side in (-1, 1):
        pen.disc(side * 0.36, 0.02, 0.24, (250, 250, 250))
        pen.disc(side * 0.32, 0.05, 0.12, (20, 20, 30))
        for y in (0.3, 0.5):
            pen.line(((side * 0.35, 0.4), (side * 1.0, y)), inks[2], 0.05)
    pen.shape(((-0.13, 0.3), (0.13, 0.3), (0, 0.46)), inks[1])
    pen.line(((-0.25, 0.62), (0, 0.5), (0.25, 0.62)), inks[2], 0.07)


def _smiley(pen: Pen, inks: Inks) -> None:
    pen.disc(0, 0, 0.95, (20, 20, 30))
    pen.disc(0, 0, 0.87, (250, 210, 50))
    pen.disc(-0.32, -0.28, 0.2, (250, 250, 250), 0.28)
    pen.disc(0.32, -0.28, 0.2, (250, 250, 250), 0.28)
    pen.disc(-0.28, -0.2, 0.1, (20, 20, 30), 0.16)
    pen.disc(0.36, -0.2, 0.1, (20, 20, 30), 0.16)
    pen.shape([(x, 0.2 + 0.5 * (1 - (x / 0.6) ** 2)) for x in np.linspace(-0.6, 0.6, 9).tolist()],
              (150, 20, 30))  # fmt: skip
    pen.disc(0.1, 0.52, 0.18, inks[0] if inks[0][0] > 150 else (240, 110, 120), 0.16)


def _alien(pen: Pen, inks: Inks) -> None:
    for side in (-1, 1):
        pen.line(((side * 0.3, -0.6), (side * 0.6, -0.9)), inks[1], 0.08)
        pen.disc(side * 0.62, -0.86, 0.12, inks[1])
    t = np.linspace(0, 2 * np.pi, 24)
    x, y = (0.72 - 0.2 * (1 - np.cos(t)) / 2) * np.sin(t), -0.82 * np.cos(t) + 0.1
    pen.shape(list(zip(x.tolist(), y.tolist(), strict=True)), inks[0])
    for side in (-1, 1):
        pen.disc(side * 0.32, -0.05, 0.25, (250, 250, 250), 0.3)
        pen.disc(side * 0.28, 0.0, 0.13, (20, 20, 30), 0.18)
    pen.line(((-0.25, 0.55), (0, 0.62), (0.25, 0.52)), (20, 20, 30), 0.08)


def _triangle(pen: Pen, inks: Inks) -> None:
    pen.shape(_around(3, 0.85), inks[0])


def _ring(pen: Pen, inks: Inks) -> None:
    points = _around(18, 0.62)
    pen.line([*points, points[0]], inks[0], 0.34)


def _zigzag(pen: Pen, inks: Inks) -> None:
    pen.line(((-0.9, 0.3), (-0.45, -0.3), (0, 0.3), (0.45, -0.3), (0.9, 0.3)), inks[0], 0.34)


def _bolt(pen: Pen, inks: Inks) -> None:
    pen.shape(((0.3, -1), (-0.6, 0.15), (0, 0.15), (-0.3, 1), (0.6, -0.2), (0.05, -0.2)), inks[0])


def _dot(pen: Pen, inks: Inks) -> None:
    pen.disc(0, 0, 0.95, inks[0])


def _heart(pen: Pen, inks: Inks) -> None:
    t = np.linspace(0, 2 * np.pi, 26)
    for size, ink in ((1.0, inks[2]), (0.8, inks[0])):
        x = size * 0.9 * np.sin(t) ** 3
        y = -size * (0.75 * np.cos(t) - 0.3 * np.cos(2 * t) - 0.12 * np.cos(3 * t))
        pen.shape(list(zip(x.tolist(), y.tolist(), strict=True)), ink)


MOTIFS: dict[str, Callable[[Pen, Inks], None]] = {
    "flower": _flower,
    "leaf": _leaf,
    "paisley": _paisley,
    "elephant": _elephant,
    "peacock": _peacock,
    "diamond": _diamond,
    "star": _star,
    "sunset": _sunset,
    "mountains": _mountains,
    "cat": _cat,
    "smiley": _smiley,
    "alien": _alien,
    "triangle": _triangle,
    "ring": _ring,
    "zigzag": _zigzag,
    "bolt": _bolt,
    "heart": _heart,
    "dot": _dot,
}
"""Name -> what draws it."""


def stamp(motif: str, pixels: float, inks: Inks, turn: float) -> Image.Image:
    """A motif on a transparent tile.

    Args:
        motif: A name of `MOTIFS`.
        pixels: Side of the tile before it is turned; at least 4 are used.
        inks: Main, second and dark or accent ink.
        turn: Degrees, anticlockwise.

    Example:
        >>> stamp("heart", 24, ((200, 0, 0), (0, 200, 0), (0, 0, 0)), 0.0).size
        (24, 24)
    """
    pen = Pen(max(4, round(pixels)))
    MOTIFS[motif](pen, inks)
    return pen.tile.rotate(turn, expand=True) if turn else pen.tile
