"""From a drawn figure to a photograph of it: backdrop, camera, light, sensor.

Shapes: H x W pixels. Everything is done by Pillow in whole bytes, which is quicker than NumPy.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from visual_taxonomy.synthetic.canvas import SUPERSAMPLING, Canvas, Colour

# Pixels of the image to one of the backdrop and the shadow on it, which are blurred anyway.
_SOFT = 4

# Pixels by which the field of noise is larger than the image.
_SPARE = 64

_BACKDROPS: tuple[Colour, ...] = (
    (246, 246, 246), (236, 236, 238), (228, 224, 218), (222, 230, 236), (236, 224, 222),
    (214, 220, 212), (204, 204, 208), (232, 222, 200), (196, 206, 220), (178, 178, 182),
)  # fmt: skip


def photograph(canvas: Canvas, rng: np.random.Generator) -> Image.Image:
    """Photograph what was drawn: what varies in the photograph says nothing about the labels.

    Draws a backdrop; turns the figure by up to 5 degrees, scales it by 0.92 to 1.06 and moves it by
    up to 4 %; then shadow, folds, lens blur, uneven light with a faint tint, and sensor noise.

    Args:
        canvas: The figure, drawn.
        rng: Where all chance comes from.

    Returns:
        RGB, [H, W].

    Example:
        >>> photograph(Canvas(40, middle=0, top=0, height=80), np.random.default_rng(0)).size
        (30, 40)
    """
    figure, relief = _framed(canvas, rng)
    coverage = figure.getchannel("X")
    # The figure's colours are multiplied by its coverage already, so the two parts simply add up.
    gaps = ImageChops.multiply(_backdrop(coverage, rng), _grey(ImageChops.invert(coverage)))
    image = ImageChops.add(figure.convert("RGB"), gaps)
    image.paste(ImageChops.hard_light(image, _grey(relief)), mask=coverage)
    if rng.random() < 0.4:
        radius = rng.uniform(0.03, 0.25) * image.height / 160
        image = image.filter(ImageFilter.BoxBlur(radius))
    return _exposed(image, rng)


def _grey(layer: Image.Image) -> Image.Image:
    return Image.merge("RGB", (layer, layer, layer))


def _framed(canvas: Canvas, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """The figure and its relief as the camera frames them, [H, W] both."""
    width, height = (side // SUPERSAMPLING for side in canvas.image.size)
    scale, angle = rng.uniform(0.92, 1.06), np.deg2rad(rng.uniform(-5, 5))
    x, y = rng.uniform(-0.04, 0.04, size=2) * (width, height)
    _, top, _, low = canvas.image.getbbox() or (0, 1, 0, 1)
    if top == 0 and low == canvas.image.height:
        scale += (1.12 - scale) * 0.7
    if low == canvas.image.height:  # legs that the figure cuts go on beyond the photograph
        y = max(y, height * (0.52 - scale / 2))
    if top == 0:
        y = min(y, height * (scale / 2 - 0.52))
    # each pixel of the photograph, a complex number, looks up its place in the figure
    turn, middle = np.exp(1j * angle) / scale, complex(width, height) / 2
    start = middle - turn * (middle + complex(x, y))

    def looked_up(layer: Image.Image, how: Image.Resampling) -> Image.Image:
        corner = start * layer.width / width
        rows = (turn.real, -turn.imag, corner.real, turn.imag, turn.real, corner.imag)
        return layer.transform(layer.size, Image.Transform.AFFINE, rows, how)

    # the nearest of many fine pixels, then their mean, is as smooth as bilinear and faster
    figure = looked_up(canvas.image, Image.Resampling.NEAREST).reduce(SUPERSAMPLING)
    relief = looked_up(canvas.relief(rng), Image.Resampling.BILINEAR)
    return figure, relief.resize(figure.size, Image.Resampling.BILINEAR)


def _backdrop(coverage: Image.Image, rng: np.random.Generator) -> Image.Image:
    """What stands behind the figure, with its shadow on it, RGB."""
    small = coverage.reduce(_SOFT)
    wall = np.array(_BACKDROPS[rng.integers(len(_BACKDROPS))]) + rng.uniform(-6, 6, size=3)
    look = rng.random()
    rows, columns, tint = (7, 5, 7) if look > 0.75 else (3, 3, 0)  # a room out of focus, a wall
    grid = wall * rng.uniform(0.9, 1.04, size=(rows, columns, 1))
    grid += rng.uniform(-tint, tint, size=(rows, columns, 3))
    if look < 0.3:  # the floor of a studio
        grid[-1] *= rng.uniform(0.82, 0.94)
    scene = Image.fromarray(grid.clip(0, 255).astype(np.uint8))
    scene = scene.resize(small.size, Image.Resampling.BICUBIC)
    shift = rng.uniform((-0.06, 0), (0.06, 0.03)) * small.size
    moved = small.transform(
        small.size, Image.Transform.AFFINE, (1, 0, -round(shift[0]), 0, 1, -round(shift[1]))
    )
    cast = moved.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.4) * coverage.height / 160))
    depth = rng.uniform(0.2, 0.45)
    left = cast.point([round(255 - depth * shadow) for shadow in range(256)])
    lit = ImageChops.multiply(scene, _grey(left))
    return lit.resize(coverage.size, Image.Resampling.BILINEAR)


def _exposed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """What the sensor makes of an image under uneven light."""
    corners = 255 * rng.uniform(0.87, 1, size=(2, 2, 1)) * rng.uniform(0.96, 1, size=3)
    light = Image.fromarray(corners.astype(np.uint8))
    light = light.resize(image.size, Image.Resampling.BILINEAR)
    left, top = rng.integers(_SPARE, size=2).tolist()
    grain = _noise(image.size, int(rng.integers(1, 5)))
    grain = grain.crop((left, top, left + image.width, top + image.height))
    dimmed = 0.91 / rng.uniform(0.92, 1.08)  # the light above takes 9 % on average
    lit = ImageChops.multiply(image, light)
    return ImageChops.add(lit, grain, scale=dimmed, offset=round(-128 / dimmed))


@lru_cache(maxsize=8)
def _noise(size: tuple[int, int], strength: int) -> Image.Image:
    """A field of noise around 128, `_SPARE` pixels larger than the image."""
    shape = size[1] + _SPARE, size[0] + _SPARE
    # One field serves all images of a size, each of which crops another part of it.
    noise = np.random.default_rng(0).standard_normal(shape) * strength + 128
    return _grey(Image.fromarray(noise.round().clip(0, 255).astype(np.uint8)))
