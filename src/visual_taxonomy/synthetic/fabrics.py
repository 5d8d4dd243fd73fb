"""Cloth by colour and print: what a garment is cut from, before it is cut."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visual_taxonomy.synthetic.canvas import Canvas, Cloth, Colour, Pen
from visual_taxonomy.synthetic.dyes import BRIGHT, contrasting, dye, lightness, shade_of
from visual_taxonomy.synthetic.motifs import MOTIFS, Inks, motif_inks, stamp
from visual_taxonomy.synthetic.outlines import at

_JOINED = ("red", "yellow", "blue", "green", "pink", "orange", "purple", "white", "navy blue")
_WORDS = (
    "HELLO", "WAVES", "1984", "RELAX", "NO RULES", "DREAM", "URBAN", "LUCKY", "SUNDAY", "BE KIND",
    "NYC 77", "GOOD", "VIBES", "OCEAN", "RIDER", "MUSIC",
)  # fmt: skip


@dataclass
class Fabric:
    """A cloth as large as a canvas, to be cut by outlines.

    Args:
        canvas: What it will be laid on.
        base: Its ground colour.
        inks: Three colours that show on it: trimmings, prints and seams use them.

    Example:
        >>> fabric = Fabric(Canvas(20, middle=0, top=0, height=40), (200, 30, 40), ((0, 0, 0),) * 3)
        >>> fabric.cut
        (200, 30, 40)
        >>> fabric.pen.image.size, fabric.cut is fabric.pen.image
        ((30, 40), True)
    """

    canvas: Canvas
    base: Colour
    inks: Inks

    @cached_property
    def pen(self) -> Pen:
        """Draws on the cloth, in body units; only a cloth drawn on needs an image."""
        image = Image.new("RGBX", self.canvas.image.size, (*self.base, 255))
        return Pen(image, self.canvas.scale, tuple(self.canvas.origin))

    @property
    def cut(self) -> Cloth:
        """What `Canvas.cloth` lays: the image, or the colour where that is all there is."""
        # A cached property stands there once it is made; to ask for it would make it.
        return self.pen.image if "pen" in vars(self) else self.base

    def tone(self, strength: float) -> Colour:
        """A tone of the same dye that shows on it."""
        return shade_of(self.base, strength)

    @property
    def palette(self) -> dict[str, Cloth]:
        """The cloth and its tones by the names of scripts, from "pale" to "edge"."""
        strengths = {"pale": 0.15, "seam": 0.22, "trim": 0.3, "dark": 0.5, "edge": 0.75}
        return {"cloth": self.cut, **{name: self.tone(s) for name, s in strengths.items()}}


def woven(canvas: Canvas, label: str, rng: np.random.Generator) -> Fabric:
    """Plain cloth of a class of `color`; "multicolor" is joined from broad panels."""
    if label != "multicolor":
        base = dye(label, rng)
        return Fabric(canvas, base, contrasting(base, rng))
    dyes = [dye(_JOINED[i], rng) for i in rng.permutation(len(_JOINED))[:4]]
    fabric = Fabric(canvas, dyes[0], ((250, 248, 240), (24, 26, 44), (250, 248, 240)))
    _add_bands(fabric, _Bands((200, 300), ((0, 0.26), (0.25, 0.26), (0.5, 0.26), (0.75, 0.26)),
                              slopes=(0, 0, 0.5, -0.5)), dyes, rng)  # fmt: skip
    return fabric


@dataclass(frozen=True)
class _Bands:
    """Bands right across a cloth.

    Args:
        pitch: Shortest and longest distance, in body units, after which they repeat.
        parts: Place and width of each, as shares of the pitch; each takes the next ink.
        slopes: How they slant, one is chosen.
        wobble: How far they sway, as a share of the pitch.
        directions: False for lying bands, True for upright ones.
    """

    pitch: tuple[float, float]
    parts: tuple[tuple[float, float], ...]
    slopes: tuple[float, ...] = (0,)
    wobble: float = 0
    directions: tuple[bool, ...] = (False,)


_BANDS = {
    "stripes": _Bands((20, 30), ((0, 0.42),)),
    "checked": _Bands((34, 46), ((0, 0.22), (0.5, 0.07)), directions=(False, True)),
    "waves": _Bands((60, 88), ((0, 0.21), (0.5, 0.21)), slopes=(-0.7, 0.7), wobble=0.15),
    "panels": _Bands((260, 330), ((0, 0.5),), slopes=(-0.6, 0.6)),
    "knitted": _Bands((10, 10), ((0, 0.34),), directions=(True,)),
}


def _add_bands(
    fabric: Fabric, bands: _Bands, inks: list[Colour] | Inks, rng: np.random.Generator
) -> None:
    pen, pitch = fabric.pen, rng.uniform(*bands.pitch)
    slope = rng.choice(bands.slopes)
    start, end = (np.array([(0, 0), pen.image.size]) - pen.origin) / pen.scale
    for upright in bands.directions:
        (x0, y0), (x1, y1) = (start[::-1], end[::-1]) if upright else (start, end)
        x = np.linspace(x0, x1, 13 if bands.wobble else 2)
        line = slope * (x - (x0 + x1) / 2) + bands.wobble * pitch * np.sin(2.8 * x / pitch)
        aside = abs(slope) * (x1 - x0) / 2 + pitch * rng.uniform(0, 1)
        for top in np.arange(y0 - aside, y1 + aside + pitch, pitch):
            # There are three inks or more, and most prints have fewer bands.
            for (place, width), ink in zip(bands.parts, inks, strict=False):
                points = np.stack([x, line + top + place * pitch], axis=1)
                pen.line(points[:, ::-1] if upright else points, ink, width * pitch)


def _repeat(
    fabric: Fabric, tiles: list[Image.Image], spacing: float, rng: np.random.Generator
) -> None:
    """Tiles side by side in rows, each row half a step aside; `spacing` in body units."""
    image = fabric.pen.image
    step = max(3, round(spacing * fabric.pen.scale))
    strip = Image.new("RGBA", (step * len(tiles), step))
    for i, tile in enumerate(tiles):
        strip.paste(tile, (i * step + (step - tile.width) // 2, (step - tile.height) // 2))
    row = Image.fromarray(np.tile(np.asarray(strip), (1, image.width // strip.width + 2, 1)))
    mask, row = row.getchannel("A"), row.convert("RGBX")
    start_x, start_y = (rng.random(2) * step).astype(int).tolist()
    for i, y in enumerate(range(-start_y, image.height, step)):
        # another tile and half a step on from row to row
        x = start_x + i * 2 * step + i % 2 * step // 2
        image.paste(row, (-(x % strip.width), y), mask)


_UPRIGHT = frozenset({"elephant", "peacock", "paisley", "diamond", "dot"})


def add_motifs(
    fabric: Fabric, motif: str, size: float, inks: Inks, rng: np.random.Generator
) -> None:
    """Repeat a motif of `size` body units all over a cloth."""
    turns = (0.0,) if motif in _UPRIGHT else (0.0, 100.0, 215.0)
    tiles = [stamp(motif, size * fabric.pen.scale, inks, turn) for turn in turns]
    _repeat(fabric, tiles, size * rng.uniform(1.05, 1.35), rng)


def _add_confetti(fabric: Fabric, inks: Inks, rng: np.random.Generator) -> None:
    """Triangles, rings and zigzags in many loud colours."""
    palette = [ink for ink in BRIGHT if abs(lightness(ink) - lightness(fabric.base)) > 30]
    kinds, size = ("triangle", "ring", "zigzag", "bolt"), rng.uniform(30, 38)
    tiles = [
        stamp(kinds[i % 4], size * fabric.pen.scale, (palette[i % len(palette)], *inks[1:]), 50 * i)
        for i in rng.permutation(8).tolist()
    ]
    _repeat(fabric, tiles, size * 0.95, rng)


_font = lru_cache(maxsize=64)(ImageFont.load_default)


def _add_words(fabric: Fabric, rng: np.random.Generator) -> None:
    """One to three lines of lettering on the chest, 110 body units wide at most."""
    pen = ImageDraw.Draw(fabric.pen.image)
    x, y = fabric.pen.pixels([CHEST])[0].tolist()
    for i in range(int(rng.integers(1, 4))):
        word = _WORDS[rng.integers(len(_WORDS))]
        size = max(6, round(min(44.0, 150 / len(word)) * fabric.pen.scale))
        ink = fabric.inks[i % 2]
        pen.text((x, y), word, fill=ink, font=_font(size), anchor="mt", stroke_width=size // 18)
        y += size * 1.05


CHEST = (0.0, 220.0)
"""Where words and images on a top begin, in body units."""

_REPEATED = {
    "floral": "flower", "botanical": "leaf", "ethnic motif": "paisley", "elephant": "elephant",
    "peacock": "peacock", "diamonds": "diamond",
}  # fmt: skip
_IMAGES = {"graphic": ("mountains", "star"), "quirky": ("cat", "smiley")}


def decorate(
    fabric: Fabric, print_type: str, inks: Inks, rng: np.random.Generator, size: float = 36.0
) -> None:
    """Put a class of `print_or_pattern_type` on a cloth, its motifs `size` body units large.

    "solid" adds nothing; "dots", "waves", "panels", "diamonds" and "knitted" are no
    classes but looks of other ones.
    """
    if print_type == "typography":
        _add_words(fabric, rng)
    elif print_type == "funky print":
        _add_confetti(fabric, inks, rng)
    elif print_type == "dots":
        add_motifs(fabric, "dot", 25, inks, rng)
    elif print_type in _IMAGES:
        kinds = _IMAGES[print_type]
        place = at((CHEST[0], CHEST[1] + 20), wide=rng.uniform(0.45, 0.55))
        fabric.pen.draw(MOTIFS[kinds[rng.integers(len(kinds))]], motif_inks(inks), place)
    elif print_type in _REPEATED:
        add_motifs(fabric, _REPEATED[print_type], size, inks, rng)
    elif print_type in _BANDS:
        _add_bands(fabric, _BANDS[print_type], inks, rng)
