"""The dyes of cloth: colours by class, their tones, what stands out from them."""

import numpy as np
from PIL import ImageColor

from visual_taxonomy.synthetic.canvas import Colour
from visual_taxonomy.synthetic.motifs import Inks


def _colours(text: str) -> list[Colour]:
    return [ImageColor.getrgb(f"#{code}")[:3] for code in text.split()]


GOLD: Inks = ((226, 176, 62), (250, 218, 128), (164, 112, 24))
"""Zari: metal thread, its lights and its shadows."""

COLOURS = {
    "black": _colours("1e1e22 262426"),
    "white": _colours("f6f5f3 f0f1f4"),
    "grey": _colours("8e9094 7a7d82"),
    "navy blue": _colours("1a245c 222a54"),
    "blue": _colours("3070d0 468cdc"),
    "red": _colours("ce2028 dc2c2c"),
    "maroon": _colours("70142a 641a26"),
    "green": _colours("228048 368e42"),
    "yellow": _colours("f4cc30 ecbe28"),
    "pink": _colours("ec76a6 f092b8"),
    "purple": _colours("703e9c 824eaa"),
    "orange": _colours("ee7e24 e86e1e"),
    "peach": _colours("fabea0 f6b296"),
    "cream": _colours("f2e2bc ecd8ac"),
    "default": _colours("349698 966a46 baa6d6 7e823e 96d8be"),
}
"""Class of `color` -> dyes; "default" is any colour without a name of its own."""

BRIGHT = _colours("e63c46 fac832 2896c8 32a05a f082aa fa8c32 8250b4 faf8f0 1e223c")
"""Inks of prints."""


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


def shade_of(colour: Colour, strength: float) -> Colour:
    """A tone of the same dye that shows on it: lighter on a dark one, darker on a light one."""
    return mix(colour, (255, 250, 240) if lightness(colour) < 110 else (20, 14, 20), strength)


def dye(label: str, rng: np.random.Generator) -> Colour:
    """A dye of a class of `color`, a little off as every batch is."""
    dyes = COLOURS[label]
    r, g, b = (dyes[rng.integers(len(dyes))] + rng.integers(-7, 8, size=3)).clip(0, 255).tolist()
    return r, g, b


def contrasting(base: Colour, rng: np.random.Generator) -> Inks:
    """Three different bright inks that stand out from a ground colour."""
    distance = np.abs(np.array(BRIGHT) - base).sum(axis=1)
    order = np.argsort(-distance * rng.uniform(0.7, 1.0, size=len(BRIGHT)))
    first, second, third = (BRIGHT[i] for i in order[:3])
    return first, second, third
