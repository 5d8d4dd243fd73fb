"""The pieces that T-shirts, tops and kurtis share: trunk, neckline, sleeves.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
"""

from collections.abc import Mapping

import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas, Colour, Points, curve, mirrored
from visual_taxonomy.synthetic.fabrics import Fabric, mix, shade_of
from visual_taxonomy.synthetic.figure import Person, limb

Labels = Mapping[str, str]

_NECKS: dict[str, Points] = {
    "round": curve([(0, 149), (18, 145), (30, 132), (34, 120)]),
    "boat": curve([(0, 137), (26, 136), (46, 130), (54, 126)]),
    "v-neck": np.array([(0.0, 196), (33, 119)]),
    "slit": np.array([(0.0, 186), (5, 160), (14, 146), (30, 132), (34, 120)]),
    "square neck": np.array([(0.0, 172), (40, 171), (42, 122)]),
    "sweetheart neck": curve([(0, 184), (12, 168), (28, 166), (40, 150), (44, 123)]),
    "high": np.array([(0.0, 92), (19, 90), (22, 112), (36, 121)]),
    "collar": np.array([(0.0, 168), (24, 116)]),
}
"""Right half of the neckline, from its lowest point to the side of the neck, in body units."""

_NECK_CUTS = {
    "polo": "collar", "collar": "collar", "henley": "round", "mandarin": "slit",
    "round neck": "round", "stylised": "round",
}  # fmt: skip
_KEYHOLE = mirrored(curve([(0, 158), (13, 176), (10, 194), (0, 200)], 4))
SLEEVES = {  # share of the arm covered
    "sleeveless": 0.0, "short sleeves": 0.34, "three-quarter sleeves": 0.7, "long sleeves": 0.98,
    "cap": 0.16,
}  # fmt: skip


def trunk(neck: str, waist: float, hem: tuple[float, float], shoulder: float) -> Points:
    """Right half of a trunk: neckline, shoulder, armhole, side, hem at (half width, y)."""
    cut = _NECKS[_NECK_CUTS.get(neck, neck)]
    side = curve([(64, 204), (waist, min(285.0, hem[1] - 30)), (hem[0], hem[1])], 5)
    armhole = [(shoulder, 137), (shoulder + 5, 146), (shoulder - 8, 172)]
    return np.concatenate([cut, armhole, side, [(hem[0] * 0.5, hem[1] + 5), (0, hem[1] + 6)]])


def _sleeve_width(cut: str, share: float, ease: float) -> Points:
    t = np.linspace(0, 1, max(3, round(40 * share) + 1))
    width = np.interp(t * share, (0, 0.4, 1), (27, 23, 15)) * ease
    if cut == "puff sleeves":
        width = width + 15 * np.sin(np.pi * t) ** 0.7 - 5 * t**6
    elif cut in ("bell sleeves", "flared"):
        width = width + 24 * np.clip((t - 0.35) / 0.65, 0, 1) ** 1.3
    return np.asarray(width)


def draw_sleeves(
    canvas: Canvas, person: Person, fabric: Fabric, share: float, cut: str, shoulder: float,
    ease: float = 1.0,
) -> None:  # fmt: skip
    """Both sleeves, to be laid before the trunk.

    Args:
        canvas: Where to draw.
        person: Whose arms they cover.
        fabric: The cloth.
        share: Share of the arm they cover, above 0.
        cut: A class of `sleeve_styling`; "flared" widens like "bell sleeves".
        shoulder: Half width of the shoulders in body units.
        ease: Factor on the width of the sleeve.
    """
    width = _sleeve_width(cut, share, ease)
    count = len(width)
    for side, path in zip((-1, 1), person.arms, strict=True):
        outline = limb(path[:count] + np.array([side * (shoulder - 80), 0.0]), width)
        edges = outline[:count], outline[count:][::-1]
        outer, inner = edges if side > 0 else edges[::-1]
        first = max(1, count // 5)
        top = np.array([(shoulder - 4, 136), (shoulder + 8, 143)]) * (side, 1)
        piece = np.concatenate([top, outer[first:], inner[: first - 1 : -1], [(side * 60, 200)]])
        canvas.cloth(piece, fabric.cut, depth=0.5)
        seam = np.array([(shoulder, 140), (shoulder - 8, 172), (64, 202)]) * (side, 1)
        canvas.line(seam, shade_of(fabric.base, 0.22), 1.6)
        _end_sleeve(canvas, fabric, cut, outer, inner)


def _end_sleeve(canvas: Canvas, fabric: Fabric, cut: str, outer: Points, inner: Points) -> None:
    """Cuff, gathers or seam at the end of a sleeve between its two edges."""
    end = np.vstack([outer[-1:], inner[-1:]])
    if cut == "cuffed sleeves":
        back = np.vstack([outer[-5:], inner[:-6:-1]])
        canvas.cloth(back, mix(fabric.base, fabric.inks[0], 0.75), depth=0.3)
    elif cut == "puff sleeves":
        canvas.line(end, shade_of(fabric.base, 0.5), 5)
        for share in (0.25, 0.5, 0.75):
            middle = end[0] * share + end[1] * (1 - share)
            canvas.fold(np.array([middle, middle - (0, 24)]), 0.5, 4)
    else:
        canvas.line(end, shade_of(fabric.base, 0.25), 2)


def draw_neck(
    canvas: Canvas, neck: str, fabric: Fabric, below: Colour, rng: np.random.Generator
) -> None:
    """What is sewn to the neckline: trim, collar, placket, stand.

    Args:
        canvas: Where to draw.
        neck: A class of `neck` or `neck_collar`.
        fabric: The cloth.
        below: What shows through an opening.
        rng: Chooses the colour of a collar.
    """
    trim = shade_of(fabric.base, 0.3)
    cut = _NECKS[_NECK_CUTS.get(neck, neck)]
    if neck != "high":
        canvas.line(mirrored(cut[::-1]), trim, 5.0 if neck in ("round", "henley") else 3.2)
    if neck in ("polo", "collar"):
        _collar(
            canvas, fabric, mix(fabric.base, fabric.inks[0], 0.7) if rng.random() < 0.5 else trim
        )
    elif neck == "henley":
        canvas.cloth([(-8, 148), (8, 148), (8, 212), (-8, 212)], trim)
        canvas.dots([(0, 158), (0, 176), (0, 194), (0, 206)], 2.8, shade_of(fabric.base, 0.8))
    elif neck == "mandarin":
        for side in (-1, 1):
            stand = np.array([(5, 160), (16, 140), (24, 108), (36, 120), (32, 134), (16, 152)])
            canvas.cloth(stand * (side, 1), trim, depth=0.3)
        canvas.line([(0, 186), (0, 225)], trim, 3)
    elif neck == "high":
        canvas.cloth([(-19, 90), (19, 90), (23, 114), (-23, 114)], fabric.cut, depth=0.45)
        canvas.line([(-22, 112), (22, 112)], trim, 2.5)
    elif neck == "stylised":
        canvas.cloth(_KEYHOLE, below, depth=0.5)
        canvas.line(np.vstack([_KEYHOLE, _KEYHOLE[:1]]), trim, 3)
        canvas.line([(-26, 178), (0, 158), (26, 178)], trim, 3)


def _collar(canvas: Canvas, fabric: Fabric, colour: Colour) -> None:
    canvas.cloth([(-8, 160), (8, 160), (8, 214), (-8, 214)], shade_of(fabric.base, 0.14))
    canvas.dots([(0, 176), (0, 194), (0, 208)], 2.6, shade_of(fabric.base, 0.7))
    for side in (-1, 1):
        flap = np.array([(22, 106), (34, 120), (40, 150), (20, 168), (0, 166), (14, 140)])
        canvas.cloth(flap * (side, 1), colour, depth=0.4)
