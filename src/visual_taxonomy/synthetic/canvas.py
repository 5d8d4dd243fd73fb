"""What garments are painted on: outlines in body units become shaded cloth, a figure a photograph.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
Shapes: P points of an outline, H x W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
Outline = Points | Sequence[tuple[float, float]]

SUPERSAMPLING = 2
"""Figures are drawn so many times larger than the picture, then reduced: smooth edges."""

_COARSE = 4
"""Pixels of the figure to one of the maps of shade and light, which are soft anyway."""

_KEPT = [round(255 - 0.75 * depth) for depth in range(256)]
"""What share of the light, of 255, a fold of a depth keeps."""

_ADDED = [round(0.4 * height) for height in range(256)]
"""What it reflects on its other side."""


def curve(points: Outline, steps: int = 6) -> Points:
    """A smooth line (Catmull-Rom) through points.

    Args:
        points: [P, 2] points it passes through.
        steps: Pieces between two neighbours.

    Returns:
        [(P - 1) * steps + 1, 2] points, the first and last among them.

    Example:
        >>> curve([(0, 0), (1, 2), (2, 0)], steps=2).tolist()
        [[0.0, 0.0], [0.4375, 1.125], [1.0, 2.0], [1.5625, 1.125], [2.0, 0.0]]
    """
    p = np.asarray(points, dtype=np.float64)
    ends = np.concatenate([p[:1], p, p[-1:]])
    neighbours = np.stack([ends[:-3], p[:-1], p[1:], ends[3:]], axis=1)
    return np.concatenate([(_weights(steps) @ neighbours).reshape(-1, 2), p[-1:]])


@lru_cache(maxsize=16)
def _weights(steps: int) -> Points:
    """[steps, 4] share of the point before, at the start, at the end of a piece and after it."""
    t = np.arange(steps) / steps
    powers = np.stack([np.ones(steps), t, t**2, t**3], axis=1)
    return powers @ np.array([(0, 2, 0, 0), (-1, 0, 1, 0), (2, -5, 4, -1), (-1, 3, -3, 1)]) / 2


def mirrored(half: Outline) -> Points:
    """The closed outline whose right half, from top middle to bottom middle, is given.

    Example:
        >>> mirrored([(0, 0), (1, 1), (0, 2)]).tolist()[3:]
        [[-0.0, 2.0], [-1.0, 1.0], [-0.0, 0.0]]
    """
    right = np.asarray(half, dtype=np.float64)
    return np.concatenate([right, right[::-1] * (-1.0, 1.0)])


def offset(line: Points, distance: float | Points) -> Points:
    """The line moved sideways, to the right of its direction as seen on the picture.

    Example:
        >>> offset(np.array([[0.0, 0.0], [0.0, 9.0]]), 2.0).tolist()
        [[-2.0, 0.0], [-2.0, 9.0]]
    """
    return line + sideways(line) * np.reshape(distance, (-1, 1))


def sideways(line: Points) -> Points:
    """[P, 2] steps of length 1 to the right of the direction of a line [P, 2].

    Example:
        >>> sideways(np.array([[0.0, 0.0], [0.0, 9.0]])).tolist()
        [[-1.0, 0.0], [-1.0, 0.0]]
    """
    right = np.empty_like(line)
    right[1:-1] = line[2:] - line[:-2]
    right[0], right[-1] = line[1] - line[0], line[-1] - line[-2]
    right /= np.maximum(np.hypot(right[:, 0], right[:, 1]), 1e-9)[:, None]
    right = right[:, ::-1]
    right[:, 0] *= -1
    return right


@dataclass(frozen=True)
class Figure:
    """A painted figure, before the camera sees it.

    Args:
        image: RGBX, `SUPERSAMPLING` times the height H and width W of the picture: colours
            multiplied by their coverage, which is X, so that means of pixels are right.
        shade: What share of the light each place keeps, "L", coarse.
        light: What it reflects on top, "L", coarse.
    """

    image: Image.Image
    shade: Image.Image
    light: Image.Image


class Canvas:
    """A transparent picture that takes shaded cloth, lines and folds in body units.

    Args:
        image_size: Height H of the finished 3:4 picture in pixels.
        middle: x of the body at the middle of the picture.
        top: y of the body at the top of the picture.
        height: Body units from top to bottom of the picture.

    Example:
        >>> canvas = Canvas(40, middle=0, top=0, height=80)
        >>> canvas.cloth([(-20, 20), (20, 20), (0, 60)], (200, 30, 40))
        >>> canvas.finish(np.random.default_rng(0)).image.size
        (60, 80)
    """

    def __init__(self, image_size: int, middle: float, top: float, height: float) -> None:
        self.size = (max(1, round(image_size * 3 / 4)), image_size)
        width, pixels = self.size[0] * SUPERSAMPLING, image_size * SUPERSAMPLING
        self.image = Image.new("RGBX", (width, pixels))
        self.scale = pixels / height
        self._origin = np.array([width / 2 - middle * self.scale, -top * self.scale])
        self._pen = ImageDraw.Draw(self.image)
        small = (-(-width // _COARSE), -(-pixels // _COARSE))
        self._edges = Image.new("L", small, 255)
        self._edge_pen = ImageDraw.Draw(self._edges)
        self._shadows, self._lights = Image.new("L", small), Image.new("L", small)
        self._shadow_pen = ImageDraw.Draw(self._shadows)
        self._light_pen = ImageDraw.Draw(self._lights)

    def pixels(self, points: Outline) -> Points:
        """[P, 2] pixel coordinates of points [P, 2] in body units."""
        return np.asarray(points, dtype=np.float64) * self.scale + self._origin

    def plain(self, colour: Colour) -> Image.Image:
        """A cloth of one colour, RGBX, as large as the canvas."""
        return Image.new("RGBX", self.image.size, (*colour, 255))

    def paste(self, tile: Image.Image, corner: tuple[int, int]) -> None:
        """Lay an RGBA tile on the picture, its upper left corner at a pixel."""
        self.image.paste(tile.convert("RGB"), corner, tile)

    def cloth(
        self,
        outline: Outline,
        cloth: Image.Image | Colour,
        opacity: float = 1.0,
        depth: float = 0.35,
    ) -> None:
        """Lay a piece of cloth on the picture, darker towards its edges.

        Args:
            outline: [P, 2] its outline.
            cloth: RGBX picture as large as the canvas, all opaque, or one colour.
            opacity: 1 hides what lies below, 0 is invisible.
            depth: How much darker its edges are, 0 to 1.
        """
        points = self.pixels(outline)
        if isinstance(cloth, Image.Image) or opacity < 1:
            self._lay(points, cloth, opacity)
        else:
            self._pen.polygon(points.ravel().tolist(), fill=cloth)
        coarse = (points / _COARSE).ravel().tolist()
        if opacity >= 1:  # what lies below loses its own shade
            self._edge_pen.polygon(coarse, fill=255)
        stroke = max(1, round(7 * self.scale / _COARSE))
        self._edge_pen.line(coarse + coarse[:2], fill=round(255 * (1 - depth)), width=stroke)

    def _lay(self, points: Points, cloth: Image.Image | Colour, opacity: float) -> None:
        left, top = np.maximum(points.min(axis=0), 0).astype(int).tolist()
        right, low = np.minimum(points.max(axis=0) + 2, self.image.size).astype(int).tolist()
        if left >= right or top >= low:  # all of it is off the picture
            return
        box = (left, top, right, low)
        mask = Image.new("L", (right - left, low - top))
        corners = (points - (left, top)).ravel().tolist()
        ImageDraw.Draw(mask).polygon(corners, fill=round(255 * opacity))
        self.image.paste(cloth.crop(box) if isinstance(cloth, Image.Image) else cloth, box, mask)

    def fill(self, outline: Outline, colour: Colour) -> None:
        """Fill an outline [P, 2], or each of some [N, P, 2], with one flat, opaque colour."""
        points = self.pixels(outline)
        for corners in points.reshape(-1, 2 * points.shape[-2]).tolist():
            self._pen.polygon(corners, fill=colour)

    def line(self, points: Outline, colour: Colour, width: float) -> None:
        """Draw a line, `width` in body units."""
        stroke = max(1, round(width * self.scale))
        self._pen.line(self.pixels(points).ravel().tolist(), fill=colour, width=stroke, joint=None)

    def dots(self, centres: Outline, radius: float, colour: Colour) -> None:
        """Draw filled circles, `radius` in body units."""
        r = max(radius * self.scale, 0.8)
        for x, y in self.pixels(centres).tolist():
            self._pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def oval(self, centre: tuple[float, float], rx: float, ry: float, colour: Colour) -> None:
        """Draw a filled ellipse of half axes `rx`, `ry`."""
        (left, top), (right, bottom) = self.pixels(
            [(centre[0] - rx, centre[1] - ry), (centre[0] + rx, centre[1] + ry)]
        ).tolist()
        self._pen.ellipse((left, top, right, bottom), fill=colour)

    def fold(self, points: Outline, strength: float, width: float = 5.0) -> None:
        """A soft crease: dark along the line and light beside it; `strength` 0 to 1."""
        level = int(255 * strength)
        stroke = max(1, round(width * self.scale / _COARSE))
        path = self.pixels(points) / _COARSE
        self._shadow_pen.line(path.ravel().tolist(), fill=level, width=stroke)
        path[:, 0] += width * 1.2 * self.scale / _COARSE
        self._light_pen.line(path.ravel().tolist(), fill=level, width=stroke)

    def finish(self, rng: np.random.Generator, wrinkles: float = 0.16) -> Figure:
        """What was painted, with the uneven light of cloth that is never quite flat.

        Args:
            rng: Where the wrinkles come from.
            wrinkles: How strong they are, 0 to 1.
        """
        fine = ImageFilter.GaussianBlur(max(0.9, 1.2 * self.scale))
        soft = ImageFilter.GaussianBlur(max(1.0, 1.7 * self.scale))
        grid = rng.integers(0, int(255 * wrinkles) + 1, size=(11, 8), dtype=np.uint8)
        rough = Image.fromarray(grid).resize(self._edges.size, Image.Resampling.BICUBIC)
        dark = ImageChops.add(self._shadows.filter(fine), rough)
        rough = rough.transpose(Image.Transpose.ROTATE_180)
        bright = ImageChops.add(self._lights.filter(fine), rough)
        shade = ImageChops.multiply(self._edges.filter(soft), dark.point(_KEPT))
        return Figure(self.image, shade, bright.point(_ADDED))
