"""What everything is drawn on: a pen that follows scripts, a canvas that also takes shaded cloth.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high. Shapes: P points of an outline, N places (see `outlines`).

A script is a drawing as data, one stroke a line: tool, ink, sizes, how to read the points, points.

    cloth skin 0.2 half smooth : 0,4 25,13 34,44 30,70 16,93 0,100

Tools are `fill`, `line` (size: width), `dot` (sizes: half axes) and, on a canvas, `cloth` (size:
how dark its edges are). `smooth` draws a curve through the points, `half` adds the mirror image to
close an outline, `both` draws the stroke a second time on the other side of the body.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from visual_taxonomy.synthetic.outlines import Outline, Points, at, curve, mirrored

Colour = tuple[int, int, int]
Cloth: TypeAlias = Image.Image | Colour
"""RGBX image as large as the canvas, all opaque, or one colour."""

SUPERSAMPLING = 2
"""Figures are drawn so many times larger than the image, then reduced: smooth edges."""

# Pixels of the figure to one of its relief, which is soft anyway.
_COARSE = 4

FLAT = 127
"""Relief of a place that neither lies in the shade nor shines."""

HERE = at((0, 0))


class _Stroke(NamedTuple):
    tool: str
    ink: str
    sizes: tuple[float, ...]
    points: Points


@cache
def _strokes(script: str) -> tuple[_Stroke, ...]:
    strokes = []
    for line in script.strip().splitlines():
        head, tail = line.split(":")
        tool, ink, *rest = head.split()
        points = np.array([pair.split(",") for pair in tail.split()]).astype(np.float64)
        points = curve(points) if "smooth" in rest else points
        points = mirrored(points) if "half" in rest else points
        sizes = tuple(float(word) for word in rest if not word.isalpha())
        sides = (-1.0, 1.0) if "both" in rest else (1.0,)
        strokes += [_Stroke(tool, ink, sizes, points * (side, 1.0)) for side in sides]
    return tuple(strokes)


class Pen:
    """Draws on an image in units of its own.

    Args:
        image: The image, which is changed.
        scale: Pixels to a unit.
        origin: Pixel of the point (0, 0).

    Example:
        >>> pen = Pen(Image.new("RGB", (20, 20)), scale=10, origin=(10, 10))
        >>> pen.draw("dot ink 0.4 : 0,0 1,0", {"ink": (200, 0, 0)})
        >>> pen.image.getpixel((10, 10)), pen.image.getpixel((0, 0))
        ((200, 0, 0), (0, 0, 0))
    """

    def __init__(self, image: Image.Image, scale: float, origin: tuple[float, float]) -> None:
        self.image, self.scale, self.origin = image, scale, np.array(origin)
        self._draw = ImageDraw.Draw(image)
        self._tools: dict[str, Callable[..., None]] = {
            "fill": self.fill, "line": self.line, "dot": self.dots,
        }  # fmt: skip

    def pixels(self, points: Outline) -> Points:
        """[..., 2] pixel coordinates of points [..., 2]."""
        return np.asarray(points, dtype=np.float64) * self.scale + self.origin

    def draw(self, script: str, inks: Mapping[str, Cloth], places: Points = HERE) -> None:
        """Follow a script once at each of some places [N, 3, 2], its sizes in their units."""
        # The length of the x axis; all places of one call are of one size.
        unit = float(np.hypot(*places[0, 0]))
        for tool, ink, sizes, points in _strokes(script):
            placed = points @ places[:, :2] + places[:, 2:]
            scaled = sizes if tool == "cloth" else [size * unit for size in sizes]
            self._tools[tool](placed, inks[ink], *scaled)

    def fill(self, outlines: Outline, colour: Colour) -> None:
        """Fill an outline [P, 2], or each of some [N, P, 2], with one flat colour."""
        for corners in self._flat(outlines):
            self._draw.polygon(corners, fill=colour)

    def line(self, lines: Outline, colour: Colour, width: float) -> None:
        """Draw a line [P, 2], or each of some [N, P, 2]."""
        stroke = max(1, round(width * self.scale))
        for points in self._flat(lines):
            self._draw.line(points, fill=colour, width=stroke)

    def dots(self, centres: Outline, colour: Colour, rx: float, ry: float | None = None) -> None:
        """Draw filled circles of radius `rx`, or ellipses of half axes `rx` and `ry`."""
        rx, ry = (max(r * self.scale, 0.8) for r in (rx, rx if ry is None else ry))
        for x, y in self.pixels(centres).reshape(-1, 2).tolist():
            self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)

    def _flat(self, outlines: Outline) -> list[list[float]]:
        points = self.pixels(outlines)
        flat: list[list[float]] = points.reshape(-1, 2 * points.shape[-2]).tolist()
        return flat


class Canvas(Pen):
    """A transparent image that takes shaded cloth and folds, in body units.

    `image` is RGBX, `SUPERSAMPLING` times as large as the finished image: colours multiplied by
    their coverage, which is X, so that means of pixels are right.

    Args:
        image_size: Height H of the finished 3:4 image in pixels.
        middle: x of the body at the middle of the image.
        top: y of the body at the top of the image.
        height: Body units from top to bottom of the image.

    Example:
        >>> canvas = Canvas(40, middle=0, top=0, height=80)
        >>> canvas.cloth([(-20, 20), (20, 20), (0, 60)], (200, 30, 40))
        >>> canvas.image.size, canvas.image.getpixel((30, 30))
        ((60, 80), (200, 30, 40, 255))
    """

    def __init__(self, image_size: int, middle: float, top: float, height: float) -> None:
        size = max(1, round(image_size * 3 / 4)) * SUPERSAMPLING, image_size * SUPERSAMPLING
        scale = size[1] / height
        origin = size[0] / 2 - middle * scale, -top * scale
        super().__init__(Image.new("RGBX", size), scale, origin)
        self._tools["cloth"] = self.cloth
        self._relief = Image.new("L", (-(-size[0] // _COARSE), -(-size[1] // _COARSE)), FLAT)
        self._relief_pen = ImageDraw.Draw(self._relief)

    def cloth(
        self, outlines: Outline, cloth: Cloth, depth: float = 0.35, opacity: float = 1.0
    ) -> None:
        """Lay a piece of cloth on the image, darker towards its edges.

        Args:
            outlines: [P, 2] its outline, or [N, P, 2] those of many pieces.
            cloth: What it is cut from.
            depth: How much darker its edges are, 0 to 1.
            opacity: 1 hides what lies below, 0 is invisible.
        """
        shadow, stroke = round(FLAT * (1 - depth)), self._stroke(7)
        for corners in self._flat(outlines):
            if isinstance(cloth, Image.Image) or opacity < 1:
                self._lay(np.reshape(corners, (-1, 2)), cloth, opacity)
            else:
                self._draw.polygon(corners, fill=cloth)
            coarse = [place / _COARSE for place in corners]
            if opacity >= 1:  # what lies below loses its own folds
                self._relief_pen.polygon(coarse, fill=FLAT)
            self._relief_pen.line(coarse + coarse[:2], fill=shadow, width=stroke)

    def _lay(self, points: Points, cloth: Cloth, opacity: float) -> None:
        left, top = np.maximum(points.min(axis=0), 0).astype(int).tolist()
        right, low = np.minimum(points.max(axis=0) + 2, self.image.size).astype(int).tolist()
        if left >= right or top >= low:  # all of it is off the image
            return
        box = (left, top, right, low)
        mask = Image.new("L", (right - left, low - top))
        corners = (points - (left, top)).ravel().tolist()
        ImageDraw.Draw(mask).polygon(corners, fill=round(255 * opacity))
        self.image.paste(cloth.crop(box) if isinstance(cloth, Image.Image) else cloth, box, mask)

    def fold(self, points: Outline, strength: float, width: float = 5.0) -> None:
        """A soft crease: dark along the line and light beside it; `strength` 0 to 1."""
        path = self.pixels(points) / _COARSE
        for shift, level in ((0.0, 1 - strength), (1.2, 1 + 0.7 * strength)):
            beside = path + np.array((shift * width * self.scale / _COARSE, 0))
            fill = round(FLAT * level)
            self._relief_pen.line(beside.ravel().tolist(), fill=fill, width=self._stroke(width))

    def _stroke(self, width: float) -> int:
        return max(1, round(width * self.scale / _COARSE))

    def relief(self, rng: np.random.Generator, wrinkles: float = 0.16) -> Image.Image:
        """How the light falls, "L", coarse: `FLAT` where evenly, darker in folds and at edges.

        Args:
            rng: Where the wrinkles of cloth that is never quite flat come from.
            wrinkles: How strong they are, 0 to 1.
        """
        soft = self._relief.filter(ImageFilter.GaussianBlur(max(0.9, 1.4 * self.scale)))
        # Around 128, as bytes have no sign; the offset below takes that off again.
        grid = rng.uniform(-FLAT * wrinkles, FLAT * wrinkles, size=(11, 8)) * 0.5 + 128
        rough = Image.fromarray(grid.round().astype(np.uint8))
        rough = rough.resize(soft.size, Image.Resampling.BICUBIC)
        return ImageChops.add(soft, rough, offset=-128)
