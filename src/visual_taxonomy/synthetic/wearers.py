"""The person who wears the garment: head, hair, neck, torso, arms, legs."""

from dataclasses import dataclass

import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas, Colour
from visual_taxonomy.synthetic.dyes import mix
from visual_taxonomy.synthetic.outlines import Points, at, limb

_SHOULDER = (74.0, 152.0)
_ARM_LENGTH = 225.0
ARM_STEPS = 40
"""Pieces of the path of an arm from shoulder to wrist, all of one length."""

_SKINS: tuple[Colour, ...] = (
    (242, 206, 178), (226, 180, 146), (202, 152, 116), (170, 118, 84), (132, 88, 62),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = ((34, 26, 26), (52, 36, 30), (84, 54, 38), (24, 22, 28))
_TROUSERS: tuple[Colour, ...] = (
    (62, 84, 122), (38, 44, 62), (96, 96, 102), (196, 180, 152), (44, 44, 46), (222, 220, 216),
)  # fmt: skip
_LEGGINGS: tuple[Colour, ...] = ((246, 245, 243), (32, 32, 36), (240, 222, 182))

_LONG_HAIR = "cloth hair half smooth : 0,-4 34,10 46,60 52,120 50,168 18,176 0,176"
_BUN = "dot hair 17 15 : 0,-8"
_TORSO = """
    cloth skin half smooth : 0,128 30,130 66,142 72,160 62,200 48,285 55,345 52,390 0,400
    line shadow 2 both : 30,146 20,151 8,152"""
_NECK = """
    cloth skin half : 0,76 16,80 17,118 28,136 0,150
    fill shadow half : 0,106 13,95 16,84 0,80"""
_FACE = """
    cloth skin 0.2 half smooth : 0,4 25,13 34,44 30,70 16,93 0,100
    line hair 2.2 both : 8,43 15,41 22,44
    dot eye 4.2 2.4 both : 15,51
    line shadow 1.8 : 1,50 4,66 -1,68
    dot lips 8.5 3 : 0,80"""
_FRINGE = "cloth hair 0.2 half smooth : 0,22 14,24 27,44 34,66 41,50 34,10 20,-5 0,-8"
_BACK_OF_HEAD = "cloth hair half smooth : 0,-8 22,2 36,28 36,64 22,94 0,104"
_SHORT_HAIR = "cloth hair 0.2 half smooth : 0,24 18,21 29,32 33,54 38,34 32,6 18,-7 0,-9"
_HAND = "cloth skin 0.2 half smooth : 0,-4 9,-3 12,10 10,22 4,33 0,35"
_WAISTED = """
    cloth legs both : 0,336 58,336 65,380 64,500 54,700 10,700 2,410
    line crease 3 : -59,348 59,348
    line crease 2.5 : 0,340 1,405"""
_TIGHT = """
    cloth skin both smooth : 12,690 40,690 48,722 30,734 10,722
    line sandal 6 both : 12,712 30,700 46,712
    cloth legs both : 2,340 62,340 56,480 46,560 44,690 12,690 6,560"""


@dataclass(frozen=True)
class Wearer:
    """Who wears it and how the arms hang.

    Args:
        woman: Long or tied hair and a slighter build, or not.
        inks: Colours of the skin, the hair and the rest, by the names of the scripts.
        arms: Path from shoulder to wrist of the arm on the left and on the right, [P, 2] each.
        look: 0 to 1, which of the hair styles.
    """

    woman: bool
    inks: dict[str, Colour]
    arms: tuple[Points, Points]
    look: float


def _arm(side: int, upper: float, lower: float) -> Points:
    """The middle line of an arm; angles of upper arm and forearm in degrees from hanging."""
    # Upper arm, elbow and forearm: together `ARM_STEPS` pieces.
    angles = np.deg2rad(np.linspace(upper, lower, 3)).repeat((18, 4, 18))
    steps = np.stack([np.sin(angles), np.cos(angles)], axis=1) * _ARM_LENGTH / ARM_STEPS
    path = np.vstack([[_SHOULDER], _SHOULDER + np.cumsum(steps, axis=0)])
    return path * (side, 1.0)


def meet_wearer(rng: np.random.Generator, woman: bool, reach: float) -> Wearer:
    """Somebody to wear a garment; `reach` is the angle of the arm on the right of the image."""
    skin, hair = _SKINS[rng.integers(len(_SKINS))], _HAIRS[rng.integers(len(_HAIRS))]
    legs = _LEGGINGS[rng.integers(len(_LEGGINGS))], _TROUSERS[rng.integers(len(_TROUSERS))]
    left, bend = rng.uniform(6, 16), rng.uniform(-12, 4)
    black = (0, 0, 0)
    inks: dict[str, Colour] = {
        "skin": skin, "shadow": mix(skin, black, 0.18), "hair": hair, "eye": (46, 32, 30),
        "lips": (178, 66, 72) if woman else mix(skin, black, 0.3), "sandal": (92, 56, 36),
        "leggings": legs[0], "trousers": legs[1], "crease": mix(legs[1], black, 0.28),
    }  # fmt: skip
    arms = _arm(-1, left, left + bend), _arm(1, reach, reach + 12)
    return Wearer(woman, inks, arms, float(rng.random()))


def draw_wearer(canvas: Canvas, wearer: Wearer, legs: str = "", from_behind: bool = False) -> None:
    """Draw somebody undressed but for the legs: "trousers", "leggings" or "" for bare ones."""
    inks, build = wearer.inks, at((0, 0), wide=1.0 if wearer.woman else 1.15, high=1)
    if wearer.woman:
        canvas.draw(_LONG_HAIR if wearer.look < 0.55 else _BUN, inks)
    canvas.draw(_TORSO, inks, build)
    if legs:
        script = _WAISTED if legs == "trousers" else _TIGHT
        canvas.draw(script, inks | {"legs": inks[legs]}, build)
    thick = 17.0 if wearer.woman else 22.0
    taper = np.interp(np.arange(ARM_STEPS // 5 + 1), (0, 1, 4, 8), (0.4, 1.0, 0.78, 0.5))
    for path in wearer.arms:
        canvas.cloth(limb(path[::5], thick * taper), inks["skin"])
        canvas.dots(path[0] * (0.93, 1.0) + (0, 10), inks["skin"], thick * 0.95)
        down = (path[-1] - path[-5]) / np.hypot(*(path[-1] - path[-5]))
        canvas.draw(_HAND, inks, np.array([[down[::-1] * (1, -1), down, path[-1]]]))
    canvas.draw(_NECK, inks, at((0, 0), wide=1.0 if wearer.woman else 1.3, high=1))
    if from_behind:
        canvas.draw(_BACK_OF_HEAD, inks)
        return
    canvas.draw(_FACE, inks)
    canvas.draw(_FRINGE if wearer.woman else _SHORT_HAIR, inks)
