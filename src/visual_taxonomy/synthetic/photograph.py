"""From a drawn figure to a photograph of it: backdrop, camera, light, sensor.

Shapes: H x W pixels; [H, 3 W] holds red, green and blue of one pixel after another, so that NumPy
walks long rows instead of threes.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from visual_taxonomy.synthetic.canvas import SUPERSAMPLING, Colour, Figure

Floats = npt.NDArray[np.float32]

_SOFT = 4
"""Pixels of the picture to one of the backdrop and the shadow on it, which are blurred anyway."""

_SPARE = 64
"""Pixels by which the field of noise is larger than the picture."""

_BACKDROPS: tuple[Colour, ...] = (
    (246, 246, 246), (236, 236, 238), (228, 224, 218), (222, 230, 236), (236, 224, 222),
    (214, 220, 212), (204, 204, 208), (232, 222, 200), (196, 206, 220), (178, 178, 182),
)  # fmt: skip
_UNIT = np.float32(1 / 255)


def photograph(figure: Figure, rng: np.random.Generator) -> Image.Image:
    """Photograph a figure: what varies in it says nothing about the labels.

    Draws a backdrop; turns the figure by up to 5 degrees, scales it by 0.92 to 1.06 and moves it by
    up to 4 %; then shadow, lens blur, uneven light with a faint tint, and sensor noise.

    Args:
        figure: What to photograph.
        rng: Where all chance comes from.

    Returns:
        RGB, [H, W].

    Example:
        >>> shade, light = Image.new("L", (15, 20), 255), Image.new("L", (15, 20), 0)
        >>> figure = Figure(Image.new("RGBX", (60, 80), (200, 30, 40, 255)), shade, light)
        >>> photograph(figure, np.random.default_rng(0)).size
        (30, 40)
    """
    placed = _placed(figure, rng)
    coverage = placed.image.getchannel("X")
    scene = _shadowed(_backdrop(placed.image.size, rng), coverage, rng)
    body = placed.image
    if rng.random() < 0.4:
        radius = rng.uniform(0.03, 0.25) * body.height / 160
        body = body.filter(ImageFilter.BoxBlur(radius))
        coverage = body.getchannel("X")
    light = np.asarray(placed.light) * _UNIT
    opaque = np.asarray(coverage) * _UNIT
    kept = np.asarray(placed.shade) * ((1 - light) * _UNIT)
    pixels = _rows(body.convert("RGB")) * _thrice(kept)
    pixels += _thrice(255 * light * opaque)
    pixels += _rows(scene) * _thrice(1 - opaque)
    return _exposed(pixels, rng)


def _rows(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The pixels of an RGB picture, [H, 3 W]."""
    return np.asarray(image).reshape(image.height, -1)


def _thrice(layer: Floats) -> Floats:
    """The same value for red, green and blue: [H, W] to [H, 3 W]."""
    spread = np.empty((*layer.shape, 3), np.float32)
    for channel in range(3):
        spread[..., channel] = layer  # np.repeat takes twice the time
    return spread.reshape(len(layer), -1)


def _placed(figure: Figure, rng: np.random.Generator) -> Figure:
    """The figure as the camera frames it, all of it [H, W]."""
    large = figure.image
    width, height = (side // SUPERSAMPLING for side in large.size)
    angle, scale = np.deg2rad(rng.uniform(-5, 5)), rng.uniform(0.92, 1.06)
    shift_x, shift_y = rng.uniform(-0.04, 0.04, size=2) * (width, height)
    cut_above = large.crop((0, 0, large.width, 1)).getchannel("X").getbbox()
    cut_below = large.crop((0, large.height - 1, *large.size)).getchannel("X").getbbox()
    if cut_above and cut_below:
        scale += (1.12 - scale) * 0.7
    if cut_below:  # legs that end at the edge of the figure go on beyond that of the picture
        shift_y = max(shift_y, height * (0.52 - scale / 2))
    if cut_above:
        shift_y = min(shift_y, height * (scale / 2 - 0.52))
    # each pixel of the picture looks up its place in the figure
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    x0 = width / 2 - cos * (width / 2 + shift_x) - sin * (height / 2 + shift_y)
    y0 = height / 2 + sin * (width / 2 + shift_x) - cos * (height / 2 + shift_y)
    rows = np.array([[cos, sin, x0], [-sin, cos, y0]])

    def framed(layer: Image.Image, finer: int, look_up: Image.Resampling) -> Image.Image:
        zoom = np.array([[layer.width / width], [layer.height / height]])
        return layer.transform(
            (width * finer, height * finer),
            Image.Transform.AFFINE,
            (rows * zoom / (finer, finer, 1)).ravel().tolist(),
            look_up,
        )

    # the nearest of many fine pixels, then their mean, is as smooth as bilinear and faster
    image = framed(large, SUPERSAMPLING, Image.Resampling.NEAREST).reduce(SUPERSAMPLING)
    shade, light = (
        framed(layer, 1, Image.Resampling.BILINEAR) for layer in (figure.shade, figure.light)
    )
    return Figure(image, shade, light)


def _backdrop(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """What stands behind the figure, RGB, `_SOFT` times smaller than the picture."""
    wall = np.array(_BACKDROPS[rng.integers(len(_BACKDROPS))]) + rng.uniform(-6, 6, size=3)
    grid = wall * rng.uniform(0.9, 1.04, size=(3, 3, 1))
    look = rng.random()
    if look < 0.3:  # the floor of a studio
        grid[2] *= rng.uniform(0.82, 0.94)
    width, height = (-(-side // _SOFT) for side in size)
    scene = Image.fromarray(grid.clip(0, 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    if look > 0.75:  # a room out of focus
        pen = ImageDraw.Draw(scene)
        for _ in range(int(rng.integers(3, 7))):
            x, y, r = (rng.uniform((0, 0, 0.05), (1, 1, 0.2)) * (width, height, width)).tolist()
            tone = wall * rng.uniform(0.8, 1.05) + rng.uniform(-14, 14, size=3)
            ink = tuple(tone.clip(0, 255).astype(int).tolist())
            pen.ellipse((x - r, y - 1.5 * r, x + r, y + 1.5 * r), fill=ink)
        scene = scene.filter(ImageFilter.BoxBlur(height / 24))
    return scene


def _shadowed(
    backdrop: Image.Image, coverage: Image.Image, rng: np.random.Generator
) -> Image.Image:
    """The backdrop, enlarged, with the shadow of the figure on it."""
    small = coverage.reduce(_SOFT)
    blurred = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.4) * coverage.height / 160))
    cast = Image.new("L", blurred.size)
    shift = rng.uniform(-0.06, 0.06), rng.uniform(0.0, 0.03)
    cast.paste(blurred, (round(shift[0] * blurred.width), round(shift[1] * blurred.height)))
    light = 1 - np.float32(rng.uniform(0.2, 0.45)) * _UNIT * np.asarray(cast)
    lit = (np.asarray(backdrop) * light[:, :, None]).astype(np.uint8)
    return Image.fromarray(lit).resize(coverage.size, Image.Resampling.BILINEAR)


def _exposed(pixels: Floats, rng: np.random.Generator) -> Image.Image:
    """What the sensor makes of pixels [H, 3 W], which are changed."""
    height, width = pixels.shape[0], pixels.shape[1] // 3
    gains = (rng.uniform(0.92, 1.08) * rng.uniform(0.97, 1.03, size=3)).astype(np.float32)
    corners = rng.uniform(0.92, 1.06, size=(2, 2)).astype(np.float32)
    across, down = (np.arange(n, dtype=np.float32)[:, None] / n for n in (width, height))
    above, below = ((left + (right - left) * across) * gains for left, right in corners)
    pixels *= above.ravel() + down * (below - above).ravel()
    left, top = rng.integers(_SPARE, size=2).tolist()
    grain = _noise(width, height)[top : top + height, 3 * left : 3 * (left + width)]
    pixels += grain * np.float32(rng.uniform(1.0, 4.0))
    np.clip(pixels, 0, 255, out=pixels)
    return Image.fromarray(pixels.astype(np.uint8).reshape(height, width, 3))


@lru_cache(maxsize=4)
def _noise(width: int, height: int) -> Floats:
    """A field of noise of standard deviation 1, `_SPARE` pixels larger than the picture."""
    shape = height + _SPARE, width + _SPARE
    return _thrice(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
