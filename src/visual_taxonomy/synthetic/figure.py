"""The person who wears the garment: head, hair, neck, torso, arms, legs, and the arms' geometry.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
"""

from dataclasses import dataclass

import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas, Colour, Points, curve, mirrored, sideways

SHOULDER = (74.0, 152.0)
"""The joint of the arm on the right of the picture."""

ARM_LENGTH = 225.0
"""From shoulder to wrist."""

_SKINS: tuple[Colour, ...] = (
    (242, 206, 178), (226, 180, 146), (202, 152, 116), (170, 118, 84), (132, 88, 62),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = ((34, 26, 26), (52, 36, 30), (84, 54, 38), (24, 22, 28))
_TROUSERS: tuple[Colour, ...] = (
    (62, 84, 122), (38, 44, 62), (96, 96, 102), (196, 180, 152), (44, 44, 46), (222, 220, 216),
)  # fmt: skip


_LONG_HAIR = mirrored(
    curve([(0, -4), (34, 10), (46, 60), (52, 120), (50, 168), (18, 176), (0, 176)])
)
_FACE = mirrored(curve([(0, 4), (25, 13), (34, 44), (30, 70), (16, 93), (0, 100)]))
_FRINGE = mirrored(
    curve([(0, 22), (14, 24), (27, 44), (34, 66), (41, 50), (34, 10), (20, -5), (0, -8)], 4)
)
_SHORT_HAIR = mirrored(
    curve([(0, 24), (18, 21), (29, 32), (33, 54), (38, 34), (32, 6), (18, -7), (0, -9)], 4)
)
_FOOT = curve([(12, 690), (40, 690), (48, 722), (30, 734), (10, 722)], 4)


def _trunk(wide: float) -> Points:
    side = [(0, 128), (30, 130), (wide - 6, 142), (wide, 160), (62, 200), (50, 285), (64, 345)]
    return mirrored(np.vstack([curve(side, 4), [(60, 390), (0, 400)]]))


_WOMAN, _MAN = _trunk(72), _trunk(84)
_TAPER = np.interp(np.arange(9), (0, 1, 4, 8), (0.4, 1.0, 0.78, 0.5))
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 20)) for f in (np.cos, np.sin)], axis=1)


@dataclass(frozen=True)
class Person:
    """Who wears it and how the arms hang.

    Args:
        skin: Colour of the skin.
        hair: Colour of the hair.
        woman: Long or tied hair and a slighter build, or not.
        arms: Path from shoulder to wrist of the arm on the left and on the right, [P, 2] each.
        look: 0 to 1, which of the hair styles.
    """

    skin: Colour
    hair: Colour
    woman: bool
    arms: tuple[Points, Points]
    look: float


def arm_path(side: int, upper: float, lower: float) -> Points:
    """The middle line of an arm.

    Args:
        side: 1 for the arm on the right of the picture, -1 for the left.
        upper: Angle of the upper arm away from the body, degrees from hanging.
        lower: The same of the forearm.

    Returns:
        [41, 2] points, evenly spaced from shoulder to wrist.

    Example:
        >>> arm_path(1, 0, 0)[[0, -1]].tolist()
        [[74.0, 152.0], [74.0, 377.0]]
    """
    angles = np.deg2rad(np.linspace(upper, lower, 3)).repeat((18, 4, 18))
    steps = np.stack([np.sin(angles), np.cos(angles)], axis=1) * ARM_LENGTH / 40
    path = np.vstack([[SHOULDER], SHOULDER + np.cumsum(steps, axis=0)])
    return path * (side, 1.0)


def meet_person(rng: np.random.Generator, woman: bool, reach: float | None = None) -> Person:
    """Somebody to wear a garment; `reach` is the angle of an arm held out on the right."""
    left, right = rng.uniform(6, 16, size=2)
    bend = rng.uniform(-12, 4, size=2)
    out = (right, right + bend[1]) if reach is None else (reach, reach + 12)
    return Person(
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        woman=woman,
        arms=(arm_path(-1, left, left + bend[0]), arm_path(1, *out)),
        look=float(rng.random()),
    )


def limb(path: Points, width: float | Points) -> Points:
    """The outline of a limb or sleeve: `width` on either side of a path [P, 2]."""
    out = sideways(path) * np.reshape(width, (-1, 1))
    return np.concatenate([path - out, (path + out)[::-1]])


def draw_back_hair(canvas: Canvas, person: Person) -> None:
    """Long hair that falls behind the shoulders, or a bun."""
    if not person.woman:
        return
    if person.look < 0.55:
        canvas.cloth(_LONG_HAIR, person.hair)
    else:
        canvas.oval((0, -8), 17, 15, person.hair)


def draw_head(canvas: Canvas, person: Person) -> None:
    """Neck, face and the hair around it."""
    skin, shadow = person.skin, _darker(person.skin, 0.82)
    wide = 16.0 if person.woman else 21.0
    canvas.cloth(mirrored([(0, 76), (wide, 80), (wide + 1, 118), (wide + 12, 136), (0, 150)]), skin)
    canvas.fill(mirrored([(0, 106), (wide - 3, 95), (wide, 84), (0, 80)]), shadow)
    canvas.cloth(_FACE, skin, depth=0.2)
    for side in (-1, 1):
        canvas.line([(side * 8, 43), (side * 15, 41), (side * 22, 44)], person.hair, 2.2)
        canvas.oval((side * 15, 51), 4.2, 2.4, (46, 32, 30))
    canvas.line([(1, 50), (4, 66), (-1, 68)], shadow, 1.8)
    lips = (178, 66, 72) if person.woman else _darker(skin, 0.7)
    canvas.oval((0, 80), 8.5, 3.0, lips)
    canvas.cloth(_FRINGE if person.woman else _SHORT_HAIR, person.hair, depth=0.2)


def draw_torso(canvas: Canvas, person: Person) -> None:
    """Bare shoulders and trunk down to the hips."""
    canvas.cloth(_WOMAN if person.woman else _MAN, person.skin)
    for side in (-1, 1):
        bone = np.array([(30, 146), (20, 151), (8, 152)]) * (side, 1)
        canvas.line(bone, _darker(person.skin, 0.86), 2)


def draw_arms(canvas: Canvas, person: Person) -> None:
    """Both arms, bare, with hands."""
    top = 17.0 if person.woman else 22.0
    for path in person.arms:
        joint = path[0] * (0.93, 1.0) + (0, 10)
        canvas.cloth(limb(path[::5], top * _TAPER), person.skin)
        canvas.fill(joint + top * 0.95 * _CIRCLE, person.skin)
        along = (path[-1] - path[-5]) / np.hypot(*(path[-1] - path[-5]))
        hand = path[-1] + along * np.array([[-2.0], [10], [22], [34]])
        canvas.cloth(limb(hand, np.array([9.0, 12, 10, 4])), person.skin, depth=0.2)


def draw_trousers(canvas: Canvas, rng: np.random.Generator, woman: bool) -> None:
    """Trousers or jeans from the waist down."""
    colour = _TROUSERS[rng.integers(len(_TROUSERS))]
    hip = 70 if woman else 76
    for side in (-1, 1):
        leg = [(0, 336), (hip - 9, 336), (hip, 380), (hip - 4, 500), (hip - 16, 700), (10, 700)]
        canvas.cloth(np.array([*leg, (2, 410)]) * (side, 1), colour)
    canvas.line([(-hip + 8, 348), (hip - 8, 348)], _darker(colour, 0.75), 3)
    canvas.line([(0, 340), (1, 405)], _darker(colour, 0.7), 2.5)


def draw_leggings(canvas: Canvas, colour: Colour, skin: Colour) -> None:
    """Tight leggings down to the ankles, and feet in sandals."""
    for side in (-1, 1):
        canvas.cloth(_FOOT * (side, 1), skin)
        canvas.line(np.array([(12, 712), (30, 700), (46, 712)]) * (side, 1), (92, 56, 36), 6)
        leg = [(2, 340), (62, 340), (56, 480), (46, 560), (44, 690), (12, 690), (6, 560)]
        canvas.cloth(np.array(leg) * (side, 1), colour)


def _darker(colour: Colour, share: float) -> Colour:
    r, g, b = (int(v * share) for v in colour)
    return r, g, b
