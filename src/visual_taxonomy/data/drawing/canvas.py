"""What garments are painted on: outlines in body units become shaded cloth, a figure a photograph.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
Shapes: P points of an outline, H x W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    before, after = np.vstack([p[:1], p[:-2]]), np.vstack([p[2:], p[-1:]])
    start, end = p[:-1], p[1:]
    t = (np.arange(steps) / steps)[:, None, None]
    line = start + t / 2 * (
        end
        - before
        + t * (2 * before - 5 * start + 4 * end - after)
        + t * t * (3 * (start - end) + after - before)
    )
    return np.vstack([line.transpose(1, 0, 2).reshape(-1, 2), p[-1:]])


def mirrored(half: Outline) -> Points:
    """The closed outline whose right half, from top middle to bottom middle, is given.

    Example:
        >>> mirrored([(0, 0), (1, 1), (0, 2)]).tolist()[3:]
        [[-0.0, 2.0], [-1.0, 1.0], [-0.0, 0.0]]
    """
    right = np.asarray(half, dtype=np.float64)
    return np.vstack([right, right[::-1] * (-1.0, 1.0)])


def offset(line: Points, distance: float | Points) -> Points:
    """The line moved sideways, to the right of its direction as seen on the picture.

    Example:
        >>> offset(np.array([[0.0, 0.0], [0.0, 9.0]]), 2.0).tolist()
        [[-2.0, 0.0], [-2.0, 9.0]]
    """
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    share = distance / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    return np.stack([line[:, 0] - along[:, 1] * share, line[:, 1] + along[:, 0] * share], axis=1)


@dataclass(frozen=True)
class Figure:
    """A painted figure, before the camera sees it.

    Args:
        image: RGBA, `SUPERSAMPLING` times the height H and width W of the picture.
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
        self.image = Image.new("RGBA", (width, pixels))
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
        """A cloth of one colour, as large as the canvas."""
        return Image.new("RGB", self.image.size, colour)

    def paste(self, tile: Image.Image, corner: tuple[int, int]) -> None:
        """Lay an RGBA tile on the picture, its upper left corner at a pixel."""
        self.image.paste(tile, corner, tile)

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
            cloth: RGB picture as large as the canvas, or one colour.
            opacity: 1 hides what lies below, 0 is invisible.
            depth: How much darker its edges are, 0 to 1.
        """
        points = self.pixels(outline)
        if isinstance(cloth, Image.Image) or opacity < 1:
            self._lay(points, cloth, opacity)
        else:
            self._pen.polygon(points.ravel().tolist(), fill=cloth)
        coarse = (np.vstack([points, points[:1]]) / _COARSE).ravel().tolist()
        if opacity >= 1:  # what lies below loses its own shade
            self._edge_pen.polygon(coarse, fill=255)
        stroke = max(1, round(7 * self.scale / _COARSE))
        self._edge_pen.line(coarse, fill=round(255 * (1 - depth)), width=stroke)

    def _lay(self, points: Points, cloth: Image.Image | Colour, opacity: float) -> None:
        left, top = np.maximum(points.min(axis=0), 0).astype(int).tolist()
        right, low = np.minimum(points.max(axis=0) + 2, self.image.size).astype(int).tolist()
        if left >= right or top >= low:  # all of it is off the picture
            return
        box, size = (left, top, right, low), (right - left, low - top)
        piece = cloth.crop(box) if isinstance(cloth, Image.Image) else cloth
        mask = Image.new("L", size)
        corners = (points - (left, top)).ravel().tolist()
        ImageDraw.Draw(mask).polygon(corners, fill=round(255 * opacity))
        if opacity >= 1:
            self.image.paste(piece, box, mask)
            return
        layer = Image.new("RGBA", size)
        layer.paste(piece, (0, 0, *size))
        layer.putalpha(mask)
        self.image.alpha_composite(layer, (left, top))

    def fill(self, outline: Outline, colour: Colour) -> None:
        """Fill an outline with one flat, opaque colour."""
        self._pen.polygon(self.pixels(outline).ravel().tolist(), fill=colour)

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
        rough = rng.integers(0, int(255 * wrinkles) + 1, size=(2, 11, 8), dtype=np.uint8)
        dark, bright = (
            ImageChops.add(layer.filter(fine), _enlarged(grid, layer.size))
            for layer, grid in zip((self._shadows, self._lights), rough, strict=True)
        )
        folds = ImageChops.invert(_weakened(dark, 0.75))
        shade = ImageChops.multiply(self._edges.filter(soft), folds)
        return Figure(self.image, shade, _weakened(bright, 0.4))


def _enlarged(grid: npt.NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)


def _weakened(layer: Image.Image, strength: float) -> Image.Image:
    return ImageChops.multiply(layer, Image.new("L", layer.size, round(255 * strength)))
