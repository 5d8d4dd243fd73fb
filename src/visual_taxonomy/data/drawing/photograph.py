"""From a drawn figure to a photograph of it: backdrop, camera, light, sensor.

Shapes: H x W pixels.
"""

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from visual_taxonomy.data.drawing.canvas import SUPERSAMPLING, Colour, Figure

_BACKDROPS: tuple[Colour, ...] = (
    (246, 246, 246), (236, 236, 238), (228, 224, 218), (222, 230, 236), (236, 224, 222),
    (214, 220, 212), (204, 204, 208), (232, 222, 200), (196, 206, 220), (178, 178, 182),
)  # fmt: skip


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
        >>> figure = Figure(Image.new("RGBA", (60, 80), (200, 30, 40, 255)), shade, light)
        >>> photograph(figure, np.random.default_rng(0)).size
        (30, 40)
    """
    placed = _placed(figure, rng)
    scene = _backdrop(placed.size, rng)
    shadow = _shadow(placed, rng)
    scene = ImageChops.multiply(scene, Image.merge("RGB", (shadow, shadow, shadow)))
    scene.paste(placed, (0, 0), placed)
    if rng.random() < 0.4:
        radius = rng.uniform(0.2, 0.55) * placed.height / 160
        scene = scene.filter(ImageFilter.GaussianBlur(radius))
    return _exposed(scene, rng)


def _placed(figure: Figure, rng: np.random.Generator) -> Image.Image:
    """The figure as the camera frames it, RGBA, [H, W]."""
    large = figure.image
    width, height = (side // SUPERSAMPLING for side in large.size)
    angle, scale = np.deg2rad(rng.uniform(-5, 5)), rng.uniform(0.92, 1.06)
    shift_x, shift_y = rng.uniform(-0.04, 0.04, size=2) * (width, height)
    alpha = large.getchannel("A")
    cut_above = alpha.crop((0, 0, large.width, 1)).getbbox()
    cut_below = alpha.crop((0, large.height - 1, *large.size)).getbbox()
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

    def framed(layer: Image.Image) -> Image.Image:
        zoom = np.array([[layer.width / width], [layer.height / height]])
        return layer.transform(
            (width, height),
            Image.Transform.AFFINE,
            (rows * zoom).ravel().tolist(),
            Image.Resampling.BILINEAR,
        )

    colours, shade, light = (framed(layer) for layer in (large, figure.shade, figure.light))
    lit = ImageChops.multiply(colours.convert("RGB"), Image.merge("RGB", (shade,) * 3))
    lit = ImageChops.screen(lit, Image.merge("RGB", (light,) * 3))
    lit.putalpha(colours.getchannel("A"))
    return lit


def _backdrop(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    wall = np.array(_BACKDROPS[rng.integers(len(_BACKDROPS))]) + rng.uniform(-6, 6, size=3)
    grid = wall * rng.uniform(0.9, 1.04, size=(3, 3, 1))
    look = rng.random()
    if look < 0.3:  # the floor of a studio
        grid[2] *= rng.uniform(0.82, 0.94)
    scene = Image.fromarray(grid.clip(0, 255).astype(np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    if look > 0.75:  # a room out of focus
        pen = ImageDraw.Draw(scene)
        for _ in range(int(rng.integers(3, 7))):
            x, y, r = rng.uniform((0, 0, 0.05), (1, 1, 0.2)) * (size[0], size[1], size[0])
            tone = wall * rng.uniform(0.8, 1.05) + rng.uniform(-14, 14, size=3)
            ink = tuple(int(v) for v in tone.clip(0, 255))
            pen.ellipse((x - r, y - 1.5 * r, x + r, y + 1.5 * r), fill=ink)
        scene = scene.filter(ImageFilter.BoxBlur(size[1] / 24))
    return scene


def _shadow(placed: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = placed.size
    small = placed.getchannel("A").resize((max(1, width // 4), max(1, height // 4)))
    blurred = small.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.4) * height / 160))
    cast = Image.new("L", blurred.size)
    shift = rng.uniform(-0.06, 0.06), rng.uniform(0.0, 0.03)
    cast.paste(blurred, (round(shift[0] * blurred.width), round(shift[1] * blurred.height)))
    strength = rng.uniform(0.2, 0.45)
    light = (255 - strength * np.asarray(cast, dtype=np.float32)).astype(np.uint8)
    return Image.fromarray(light).resize(placed.size, Image.Resampling.BILINEAR)


def _exposed(scene: Image.Image, rng: np.random.Generator) -> Image.Image:
    brightness = rng.uniform(0.92, 1.08)
    tint = rng.uniform(0.97, 1.03, size=3)
    grid = brightness * tint * rng.uniform(0.92, 1.06, size=(2, 2, 1))
    light = Image.fromarray((grid * 200).clip(0, 255).astype(np.uint8)).resize(
        scene.size, Image.Resampling.BILINEAR
    )
    grain = rng.standard_normal((scene.height, scene.width), dtype=np.float32)
    pixels = np.asarray(scene, dtype=np.float32) * np.asarray(light, dtype=np.float32)
    pixels *= 1 / 200
    pixels += grain[:, :, None] * np.float32(rng.uniform(1.0, 4.0))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
