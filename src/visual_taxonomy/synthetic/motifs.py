"""Small images that are printed, woven or sewn onto cloth: flowers, peacocks, a cat's face."""

import numpy as np
from PIL import Image

from visual_taxonomy.synthetic.canvas import Colour, Pen

Inks = tuple[Colour, Colour, Colour]


def _around(count: int, *radii: float, skip: tuple[int, ...] = ()) -> str:
    """Points on a circle, clockwise from the top; several radii take turns."""
    turns = [i for i in range(count) if i not in skip]
    angles = np.array(turns) * 2 * np.pi / count
    radius = np.array([radii[i % len(radii)] for i in turns])
    xs, ys = radius * np.sin(angles), -radius * np.cos(angles)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))


_FAN = _around(16, 74, skip=(7, 8, 9))

# Scripts of `Pen` on a tile from (-100, -100) to (100, 100); a, b, c are the inks of the cloth.
MOTIFS = {
    "flower": f"""
        dot c 30 16 : -62,60 66,56
        dot a 40 : {_around(5, 50)}
        dot b 28 : 0,0""",
    "leaf": """
        line c 12 : 0,95 0,-80
        fill a both : 0,60 25,10 80,15 60,58
        fill a both : 0,10 25,-40 80,-35 60,8
        fill a both : 0,-40 25,-90 80,-85 60,-42
        fill a : 0,-98 16,-65 0,-40 -16,-65""",
    "paisley": """
        fill a smooth : 30,92 30,60 46,10 42,-50 0,-85 -42,-50 -42,10 -14,60 30,92
        fill c smooth : 18,65 20,45 30,10 27,-30 0,-55 -27,-30 -27,10 -8,45 18,65
        fill b smooth : 9,40 12,25 17,5 15,-17 0,-32 -15,-17 -16,5 -4,25 9,40
        dot a 14 : 2,2""",
    "elephant": """
        dot a 62 50 : 18,-5
        line a 22 both : 62,85 62,10 30,10 30,85
        dot a 36 : -52,-25
        line a 18 : -78,-20 -88,30 -80,62 -62,66
        dot c 20 28 : -36,-25
        fill b : 0,-55 46,-55 52,5 -6,5
        line a 10 : 80,-10 93,30""",
    "peacock": f"""
        line a 12 : {_FAN.replace(" ", " 0,25 ")}
        dot b 19 : {_FAN}
        dot c 9 : {_FAN}
        dot c 26 40 : 0,45
        line c 20 : 0,30 5,-18
        dot c 16 : 6,-24
        fill b : 18,-28 40,-20 18,-14""",
    "diamond": """
        fill a : 0,-100 75,0 0,100 -75,0
        fill c : 0,-55 40,0 0,55 -40,0
        dot b 18 : 0,0""",
    "star": f"""
        dot b 98 : 0,0
        dot c 86 : 0,0
        fill a : {_around(10, 82, 34)}""",
    "mountains": """
        dot b 30 : 45,-50
        fill a : -100,70 -35,-65 30,70
        fill c : -20,70 45,-15 100,70
        fill b : -53,-28 -35,-65 -17,-28 -35,-10
        line b 10 : -100,82 100,82""",
    "cat": """
        fill a both : 85,-95 78,10 15,-50
        dot a 86 76 : 0,15
        dot white 24 both : 36,2
        dot black 12 both : 32,5
        line c 5 both : 100,30 35,40 100,50
        fill b : -13,30 13,30 0,46
        line c 7 : -25,62 0,50 25,62""",
    "smiley": """
        dot black 95 : 0,0
        dot sun 87 : 0,0
        dot white 20 28 both : 32,-28
        dot black 10 16 : -28,-20 36,-20
        fill red smooth : -60,20 -40,48 0,70 40,48 60,20
        dot a 18 12 : 8,56""",
    "triangle": f"fill a : {_around(3, 85)}",
    "ring": f"line a 34 : {_around(18, 62)} 0,-62",
    "zigzag": "line a 34 : -90,30 -45,-30 0,30 45,-30 90,30",
    "bolt": "fill a : 30,-100 -60,15 0,15 -30,100 60,-20 5,-20",
    "heart": """
        fill c half smooth : 0,-58 22,-84 60,-92 92,-60 84,-10 45,48 0,95
        fill a half smooth : 0,-40 20,-66 55,-72 74,-46 66,-8 36,38 0,74""",
    "dot": "dot a 52 : 0,0",
}
"""Name -> script."""

_FIXED: dict[str, Colour] = {
    "white": (250, 250, 250), "black": (20, 20, 30), "sun": (250, 210, 50), "red": (150, 20, 30),
}  # fmt: skip


def motif_inks(inks: Inks) -> dict[str, Colour]:
    """The inks by the names of the scripts: main, second and dark or accent ink."""
    return _FIXED | dict(zip("abc", inks, strict=True))


def stamp(motif: str, pixels: float, inks: Inks, turn: float = 0.0) -> Image.Image:
    """A motif on a transparent tile.

    Args:
        motif: A name of `MOTIFS`.
        pixels: Side of the tile before it is turned; at least 4 are used.
        inks: Main, second and dark or accent ink.
        turn: Degrees, anticlockwise.

    Example:
        >>> stamp("heart", 24, ((200, 0, 0), (0, 200, 0), (0, 0, 0))).size
        (24, 24)
    """
    side = max(4, round(pixels))
    half = (side - 1) / 2
    pen = Pen(Image.new("RGBA", (side, side)), half / 100, (half, half))
    pen.draw(MOTIFS[motif], motif_inks(inks))
    return pen.image.rotate(turn, expand=True) if turn else pen.image
