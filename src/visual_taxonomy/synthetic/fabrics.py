"""Cloth by colour and print: what a garment is cut from, before it is cut."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visual_taxonomy.synthetic.canvas import SUPERSAMPLING, Canvas, Colour
from visual_taxonomy.synthetic.motifs import stamp

Inks = tuple[Colour, Colour, Colour]

GOLD: Inks = ((226, 176, 62), (250, 218, 128), (164, 112, 24))
"""Zari: metal thread, its lights and its shadows."""

COLOURS: dict[str, tuple[Colour, ...]] = {
    "black": ((30, 30, 34), (38, 36, 38)),
    "white": ((246, 245, 243), (240, 241, 244)),
    "grey": ((142, 144, 148), (122, 125, 130)),
    "navy blue": ((26, 36, 92), (34, 42, 84)),
    "blue": ((48, 112, 208), (70, 140, 220)),
    "red": ((206, 32, 40), (220, 44, 44)),
    "maroon": ((112, 20, 42), (100, 26, 38)),
    "green": ((34, 128, 72), (54, 142, 66)),
    "yellow": ((244, 204, 48), (236, 190, 40)),
    "pink": ((236, 118, 166), (240, 146, 184)),
    "purple": ((112, 62, 156), (130, 78, 170)),
    "orange": ((238, 126, 36), (232, 110, 30)),
    "peach": ((250, 190, 160), (246, 178, 150)),
    "cream": ((242, 226, 188), (236, 216, 172)),
    "default": ((52, 150, 152), (150, 106, 70), (186, 166, 214), (126, 130, 62), (150, 216, 190)),
}
"""Class of `color` -> dyes; "default" is any colour without a name of its own."""

_BRIGHT: tuple[Colour, ...] = (
    (230, 60, 70), (250, 200, 50), (40, 150, 200), (50, 160, 90), (240, 130, 170),
    (250, 140, 50), (130, 80, 180), (250, 248, 240), (30, 34, 60),
)  # fmt: skip
_WORDS = (
    "HELLO", "WAVES", "1984", "RELAX", "NO RULES", "DREAM", "URBAN", "LUCKY", "SUNDAY", "BE KIND",
    "NYC 77", "GOOD", "VIBES", "OCEAN", "RIDER", "MUSIC",
)  # fmt: skip


class Fabric:
    """A cloth as large as the canvas, to be cut by outlines.

    Args:
        size: Width and height of the canvas in pixels.
        base: Its ground colour.
        inks: Three colours that show on it: trimmings, prints and seams use them.
        image: RGBX picture of the cloth, all of it opaque; None for a plain one, which gets a
            picture only when somebody draws on it.

    Example:
        >>> fabric = Fabric((30, 40), (200, 30, 40), GOLD)
        >>> fabric.cut
        (200, 30, 40)
        >>> fabric.image.size, fabric.cut is fabric.image
        ((30, 40), True)
    """

    def __init__(
        self, size: tuple[int, int], base: Colour, inks: Inks, image: Image.Image | None = None
    ) -> None:
        self.size, self.base, self.inks = size, base, inks
        self._image = image

    @property
    def image(self) -> Image.Image:
        """Picture of the cloth, to be drawn on."""
        if self._image is None:
            self._image = Image.new("RGBX", self.size, (*self.base, 255))
        return self._image

    @property
    def cut(self) -> Image.Image | Colour:
        """What `Canvas.cloth` lays: the picture, or the colour where that is all there is."""
        return self.base if self._image is None else self._image

    def copy(self) -> "Fabric":
        """The same cloth, to be drawn on apart."""
        image = None if self._image is None else self._image.copy()
        return Fabric(self.size, self.base, self.inks, image)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: `share` 0 gives one, 1 the other.

    Example:
        >>> mix((0, 0, 0), (200, 100, 50), 0.5)
        (100, 50, 25)
    """
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def lightness(colour: Colour) -> float:
    """Perceived lightness of a colour, 0 (black) to 255 (white), by the weights of ITU-R BT.601.

    Example:
        >>> lightness((255, 255, 255))
        255.0
    """
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def shade_of(colour: Colour, strength: float = 0.3) -> Colour:
    """A tone of the same dye that shows on it: lighter on a dark one, darker on a light one."""
    white, black = (255, 250, 240), (20, 14, 20)
    return mix(colour, white if lightness(colour) < 110 else black, strength)


def dye(label: str, rng: np.random.Generator) -> Colour:
    """A dye of a class of `color`, a little off as every batch is."""
    dyes = COLOURS[label]
    r, g, b = np.array(dyes[rng.integers(len(dyes))]) + rng.integers(-7, 8, size=3)
    return tuple(int(v) for v in np.clip((r, g, b), 0, 255))  # type: ignore[return-value]


def contrasting(base: Colour, rng: np.random.Generator) -> Inks:
    """Three different bright inks that stand out from a ground colour."""
    distance = (
        np.abs(np.array(_BRIGHT) - base).sum(axis=1)
        + 80 * np.abs(np.array([lightness(ink) for ink in _BRIGHT]) - lightness(base)) / 100
    )
    order = np.argsort(-(distance * rng.uniform(0.7, 1.0, size=len(_BRIGHT))))
    first, second, third = (_BRIGHT[i] for i in order[:3])
    return first, second, third


def woven(canvas: Canvas, label: str, rng: np.random.Generator) -> Fabric:
    """Plain cloth of a class of `color`; "multicolor" is joined from broad panels."""
    if label != "multicolor":
        base = dye(label, rng)
        return Fabric(canvas.image.size, base, contrasting(base, rng))
    names = ("red", "yellow", "blue", "green", "pink", "orange", "purple", "white", "navy blue")
    dyes = [dye(names[i], rng) for i in rng.permutation(len(names))[:4]]
    image = canvas.plain(dyes[0])
    pen = ImageDraw.Draw(image)
    width, height = image.size
    panel = 62 * canvas.scale * rng.uniform(0.8, 1.2)
    slope = rng.choice([0.0, 0.0, 0.5, -0.5])
    start = rng.uniform(-1, 0) * panel - abs(slope) * width
    for i in range(int((height + 2 * abs(slope) * width) / panel) + 2):
        top = start + i * panel
        low, left, right = top + panel, 0.0, slope * width
        corners = ((0, top + left), (width, top + right), (width, low + right), (0, low + left))
        pen.polygon(corners, fill=dyes[i % len(dyes)])
    inks: Inks = ((250, 248, 240), (24, 26, 44), (250, 248, 240))
    return Fabric(image.size, dyes[0], inks, image)


def woven_inks(fabric: Fabric, technique: str) -> Inks:
    """The inks a technique puts on a cloth: gold for zari, the cloth's own tones for a weave."""
    if technique == "zari woven":
        return GOLD
    if technique == "woven design":
        base = fabric.base
        return shade_of(base, 0.5), shade_of(base, 0.32), shade_of(base, 0.65)
    return fabric.inks


def _repeat(
    canvas: Canvas, fabric: Fabric, tiles: list[Image.Image], spacing: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Tiles side by side in rows, each row half a step aside; `spacing` in body units."""
    step = max(3, round(spacing * canvas.scale))
    width, height = fabric.size
    strip = Image.new("RGBA", (step * len(tiles), step))
    for i, tile in enumerate(tiles):
        strip.paste(tile, (i * step + (step - tile.width) // 2, (step - tile.height) // 2))
    row = Image.fromarray(np.tile(np.asarray(strip), (1, width // strip.width + 2, 1)))
    mask, row = row.getchannel("A"), row.convert("RGBX")
    start_x, start_y = (rng.random(2) * step).astype(int).tolist()
    for i, y in enumerate(range(-start_y, height, step)):
        # another tile and half a step on from row to row
        x = start_x + i * 2 * step + i % 2 * step // 2
        fabric.image.paste(row, (-(x % strip.width), y), mask)


def add_motifs(
    canvas: Canvas, fabric: Fabric, motif: str, size: float, inks: Inks, rng: np.random.Generator
) -> None:
    """Repeat a motif of `size` body units all over a cloth."""
    turns = (0.0,) if motif in _UPRIGHT else (0.0, 100.0, 215.0)
    tiles = [stamp(motif, size * canvas.scale, inks, turn) for turn in turns]
    _repeat(canvas, fabric, tiles, size * rng.uniform(1.05, 1.35), rng)


def add_stripes(
    canvas: Canvas, fabric: Fabric, inks: Inks, rng: np.random.Generator, upright: bool = False
) -> None:
    """Regular stripes all over a cloth."""
    pitch = rng.uniform(20, 30) * canvas.scale
    thick = max(1.0, pitch * rng.uniform(0.3, 0.5))
    length = fabric.size[0 if upright else 1]
    pen = ImageDraw.Draw(fabric.image)
    for start in np.arange(rng.uniform(-1, 0) * pitch, length, pitch).tolist():
        box = (0.0, start, float(fabric.size[0]), start + thick)
        pen.rectangle((start, 0.0, start + thick, fabric.size[1]) if upright else box, inks[0])


def add_checks(canvas: Canvas, fabric: Fabric, inks: Inks, rng: np.random.Generator) -> None:
    """A lattice of crossing bands and fine lines."""
    pitch = rng.uniform(34, 46) * canvas.scale
    pen = ImageDraw.Draw(fabric.image)
    width, height = fabric.size
    band, fine = max(2, round(pitch * 0.22)), max(1, round(pitch * 0.07))
    for shift, ink, stroke in ((0.0, inks[0], band), (0.5, inks[1], fine)):
        for at in np.arange(shift * pitch, max(width, height), pitch).tolist():
            pen.line((at, 0, at, height), ink, stroke)
            pen.line((0, at, width, at), ink, stroke)


def add_waves(canvas: Canvas, fabric: Fabric, inks: Inks, rng: np.random.Generator) -> None:
    """Slanting bands dyed by tying, as leheriya."""
    pitch = rng.uniform(30, 44) * canvas.scale
    width, height = fabric.size
    x = np.linspace(0, width, 13)
    wobble = np.sin(x / pitch * 1.4) * pitch * 0.3 + x * rng.choice([-0.7, 0.7])
    pen = ImageDraw.Draw(fabric.image)
    for i, y in enumerate(np.arange(-width, height + width, pitch).tolist()):
        line = np.stack([x, y + wobble], axis=1).ravel().tolist()
        pen.line(line, inks[i % 2], max(2, round(pitch * 0.42)))


def add_dots(canvas: Canvas, fabric: Fabric, inks: Inks, rng: np.random.Generator) -> None:
    """Polka dots all over a cloth."""
    tile = stamp("dot", rng.uniform(12, 16) * canvas.scale, inks, 0.0)
    _repeat(canvas, fabric, [tile], rng.uniform(22, 30), rng)


def add_shapes(canvas: Canvas, fabric: Fabric, inks: Inks, rng: np.random.Generator) -> None:
    """Loud confetti of triangles, rings and zigzags in many colours."""
    palette = [ink for ink in _BRIGHT if abs(lightness(ink) - lightness(fabric.base)) > 30]
    kinds = ("triangle", "ring", "zigzag", "bolt")
    size = rng.uniform(30, 38)
    tiles = [
        stamp(kinds[i % 4], size * canvas.scale, (palette[i % len(palette)], *inks[1:]), 50.0 * i)
        for i in rng.permutation(8).tolist()
    ]
    _repeat(canvas, fabric, tiles, size * 0.95, rng)


def add_panels(canvas: Canvas, fabric: Fabric, inks: Inks, rng: np.random.Generator) -> None:
    """One broad slanting half in another colour."""
    width, height = fabric.size
    middle, slope = height * rng.uniform(0.42, 0.55), rng.choice([-0.5, 0.5]) * width
    corners = ((0, middle + slope), (width, middle - slope), (width, height), (0, height))
    ImageDraw.Draw(fabric.image).polygon(corners, fill=inks[0])


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def add_words(
    canvas: Canvas, fabric: Fabric, centre: tuple[float, float], rng: np.random.Generator
) -> None:
    """One to three lines of lettering on the chest, 110 body units wide at most."""
    pen = ImageDraw.Draw(fabric.image)
    x, y = canvas.pixels([centre])[0].tolist()
    for i in range(int(rng.integers(1, 4))):
        word = _WORDS[rng.integers(len(_WORDS))]
        size = max(6, round(min(44.0, 150 / len(word)) * canvas.scale))
        ink = fabric.inks[0 if i % 2 == 0 else 1]
        pen.text((x, y), word, fill=ink, font=_font(size), anchor="mt", stroke_width=size // 18)
        y += size * 1.05
    if rng.random() < 0.4:
        half = 40 * canvas.scale
        pen.line((x - half, y, x + half, y), fabric.inks[0], max(1, SUPERSAMPLING))


def add_picture(
    canvas: Canvas, fabric: Fabric, centre: tuple[float, float], kinds: tuple[str, ...],
    rng: np.random.Generator, size: float = 100.0,
) -> None:  # fmt: skip
    """One large picture on the chest, any of some motifs."""
    kind = kinds[rng.integers(len(kinds))]
    tile = stamp(kind, size * rng.uniform(0.9, 1.1) * canvas.scale, fabric.inks, 0.0)
    x, y = canvas.pixels([centre])[0].tolist()
    fabric.image.paste(tile, (int(x - tile.width / 2), int(y - tile.height * 0.3)), tile)


Pattern = Callable[[Canvas, Fabric, Inks, np.random.Generator], None]

ALL_OVER: dict[str, Pattern] = {
    "stripes": add_stripes,
    "checked": add_checks,
    "funky print": add_shapes,
    "dots": add_dots,
    "waves": add_waves,
    "panels": add_panels,
}
"""Patterns that fill a cloth, besides the motifs."""

_UPRIGHT = frozenset({"elephant", "peacock", "paisley", "diamond"})
_REPEATED = {
    "floral": "flower",
    "botanical": "leaf",
    "ethnic motif": "paisley",
    "elephant": "elephant",
    "peacock": "peacock",
}
_CHEST = {
    "graphic": ("sunset", "mountains", "star"),
    "quirky": ("cat", "smiley", "alien"),
}


def decorate(
    canvas: Canvas, fabric: Fabric, print_type: str, technique: str, rng: np.random.Generator,
    others: tuple[str, ...] = ("dots", "waves", "panels"), motif_size: float = 36.0,
    chest: tuple[float, float] = (0.0, 220.0),
) -> None:  # fmt: skip
    """Put a class of `print_or_pattern_type` on a cloth.

    Args:
        canvas: The canvas the cloth was made for.
        fabric: The cloth; its picture is changed.
        print_type: The class: "solid" adds nothing, "default" one of `others`.
        technique: "zari woven" (gold), "woven design" (tone in tone), else printed in contrast.
        rng: Where all chance comes from.
        others: The looks of "default", names of `ALL_OVER`.
        motif_size: Size of a repeated motif in body units.
        chest: Top middle of a picture or words on the chest, in body units.
    """
    inks = woven_inks(fabric, technique)
    name = others[rng.integers(len(others))] if print_type == "default" else print_type
    if name == "typography":
        add_words(canvas, fabric, chest, rng)
    elif name in _CHEST:
        add_picture(canvas, fabric, chest, _CHEST[name], rng)
    elif name in _REPEATED:
        add_motifs(canvas, fabric, _REPEATED[name], motif_size, inks, rng)
    elif name in ALL_OVER:
        ALL_OVER[name](canvas, fabric, inks, rng)
