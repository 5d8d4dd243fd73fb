"""T-shirts, tops, kurtis and blouses: one way to cut and sew them, with measures from tables."""

from dataclasses import dataclass

import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas, Colour
from visual_taxonomy.synthetic.dyes import mix
from visual_taxonomy.synthetic.fabrics import Fabric
from visual_taxonomy.synthetic.outlines import Outline, Points, curve, limb, mirrored
from visual_taxonomy.synthetic.wearers import ARM_STEPS, Wearer

_ROUND = curve([(0, 149), (18, 145), (30, 132), (34, 120)])
# Right half of the neckline, from its lowest point to the side of the neck, unless round.
_NECKLINES: dict[str, Outline] = {
    "boat": curve([(0, 137), (26, 136), (46, 130), (54, 126)]),
    "v-neck": [(0, 196), (33, 119)],
    "square neck": [(0, 172), (40, 171), (42, 122)],
    "sweetheart neck": curve([(0, 184), (12, 168), (28, 166), (40, 150), (44, 123)]),
    "high": [(0, 92), (19, 90), (22, 112), (36, 121)],
    "polo": [(0, 168), (24, 116)],
    "back": curve([(0, 124), (18, 123), (34, 119)]),
    "mandarin": [(0, 186), (5, 160), (14, 146), (30, 132), (34, 120)],
    "blouse": curve([(0, 176), (20, 168), (34, 146), (36, 132)], 4),
}

_SEWN_TO_NECK = {
    "polo": """
        fill pale : -8,160 8,160 8,214 -8,214
        dot edge 2.6 : 0,176 0,194 0,208
        cloth collar 0.4 both : 22,106 34,120 40,150 20,168 0,166 14,140""",
    "henley": """
        cloth trim : -8,148 8,148 8,212 -8,212
        dot edge 2.8 : 0,158 0,176 0,194 0,206""",
    "mandarin": """
        cloth trim 0.3 both : 5,160 16,140 24,108 36,120 32,134 16,152
        line trim 3 : 0,186 0,225""",
    "high": """
        cloth cloth 0.45 : -19,90 19,90 23,114 -23,114
        line trim 2.5 : -22,112 22,112""",
    "stylised": """
        cloth below 0.5 half smooth : 0,158 13,176 10,194 0,200
        line trim 3 half smooth : 0,158 13,176 10,194 0,200
        line trim 3 : -26,178 0,158 26,178""",
}

FITS = {  # half widths at the waist and at the hip, half width more per unit below, ease of sleeves
    "fitted": (50, 66, 0, 0.85), "regular": (62, 74, 0, 1), "loose": (78, 96, 0, 1.25),
    "boxy": (86, 88, 0, 1.2), "peplum": (50, 104, 0, 0.85), "straight": (58, 76, 0.02, 1),
    "a-line": (58, 84, 0.22, 1), "blouse": (56, 54, 0, 0.85),
}  # fmt: skip
HEMS = {
    "crop": 292, "regular": 388, "long": 444, "knee length": 505, "calf length": 632, "blouse": 246,
}  # fmt: skip
SLEEVES = {  # share of the arm covered
    "sleeveless": 0.0, "short sleeves": 0.34, "three-quarter sleeves": 0.7, "long sleeves": 0.98,
}  # fmt: skip
_HIP = 388.0


@dataclass(frozen=True)
class Cut:
    """The measures of a garment.

    Args:
        neck: A class of `neck` or `neck_collar`.
        fit: A name of `FITS`.
        hem: y of the hem at the sides.
        sleeve: Share of the arm covered.
        styling: A class of `sleeve_styling`; any other name leaves the sleeve as it is.
    """

    neck: str
    fit: str
    hem: float
    sleeve: float
    styling: str = "regular"

    @property
    def wide(self) -> float:
        """Half width of the hem."""
        _, hip, flare, _ = FITS[self.fit]
        return hip + max(0.0, self.hem - _HIP) * flare

    def shoulder(self, woman: bool) -> float:
        """Half width of the shoulders of a garment of a woman or a man."""
        if self.sleeve == 0:
            return 58.0
        return {"boxy": 92.0, "loose": 88.0}.get(self.fit, 76.0 if woman else 84.0)

    def trunk(self, woman: bool) -> Points:
        """[P, 2] right half of the trunk: neckline, shoulder, armhole, side, hem."""
        shoulder, (waist, hip, _, _) = self.shoulder(woman), FITS[self.fit]
        hem, wide = self.hem, self.wide
        below = [(hip, _HIP)] if hem > _HIP + 60 else []
        side = curve([(64, 204), (waist, min(285.0, hem - 30)), *below, (wide, hem)], 5)
        armhole = [(shoulder, 137), (shoulder + 5, 146), (shoulder - 8, 172)]
        neckline = _NECKLINES.get(self.neck, _ROUND)
        return np.concatenate([neckline, armhole, side, [(wide / 2, hem + 6), (0, hem + 8)]])


def draw_garment(
    canvas: Canvas, wearer: Wearer, fabric: Fabric, cut: Cut, below: Colour,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Sleeves, trunk and neck of a garment, without folds.

    Args:
        canvas: Where to draw.
        wearer: Whose arms the sleeves follow.
        fabric: The cloth.
        cut: The measures.
        below: What shows through an opening.
        rng: Chooses the colour of a collar.
    """
    if cut.sleeve > 0:
        _draw_sleeves(canvas, wearer, fabric, cut)
    canvas.cloth(mirrored(cut.trunk(wearer.woman)), fabric.cut, depth=0.45)
    wide, hem, trim = cut.wide, cut.hem, fabric.tone(0.3)
    canvas.line([(2 - wide, hem - 6), (0, hem - 1), (wide - 2, hem - 6)], fabric.tone(0.22), 1.6)
    if cut.neck != "high":
        edge = np.asarray(_NECKLINES.get(cut.neck, _ROUND))
        canvas.line(mirrored(edge[::-1]), trim, 5.0 if cut.neck in ("round", "henley") else 3.2)
    collar = mix(fabric.base, fabric.inks[0], 0.7) if rng.random() < 0.5 else trim
    inks = fabric.palette | {"below": below, "collar": collar}
    canvas.draw(_SEWN_TO_NECK.get(cut.neck, ""), inks)


def _draw_sleeves(canvas: Canvas, wearer: Wearer, fabric: Fabric, cut: Cut) -> None:
    t = np.linspace(0, 1, max(3, round(ARM_STEPS * cut.sleeve) + 1))
    width = np.interp(t * cut.sleeve, (0, 0.4, 1), (27, 23, 15)) * FITS[cut.fit][3]
    if cut.styling == "puff sleeves":
        width += 15 * np.sin(np.pi * t) ** 0.7 - 5 * t**6
    elif cut.styling in ("bell sleeves", "flared"):
        width += 24 * np.clip((t - 0.35) / 0.65, 0, 1) ** 1.3
    shoulder, count = cut.shoulder(wearer.woman), len(t)
    for side, path in zip((-1, 1), wearer.arms, strict=True):
        outline = limb(path[:count] + np.array((side * (shoulder - 80), 0)), width)
        right, left = outline[:count], outline[count:][::-1]
        outer, inner = (left, right) if side < 0 else (right, left)
        first = max(1, count // 5)
        top = np.array([(shoulder - 4, 136), (shoulder + 8, 143)]) * (side, 1)
        piece = np.concatenate([top, outer[first:], inner[: first - 1 : -1], [(side * 60, 200)]])
        canvas.cloth(piece, fabric.cut, depth=0.5)
        seam = np.array([(shoulder, 140), (shoulder - 8, 172), (64, 202)]) * (side, 1)
        canvas.line(seam, fabric.tone(0.22), 1.6)
        _end_sleeve(canvas, fabric, cut.styling, outer, inner)


def _end_sleeve(canvas: Canvas, fabric: Fabric, styling: str, outer: Points, inner: Points) -> None:
    """Cuff, gathers or seam at the end of a sleeve between its two edges."""
    end = np.vstack([outer[-1:], inner[-1:]])
    if styling == "cuffed sleeves":
        back = np.vstack([outer[-5:], inner[:-6:-1]])
        canvas.cloth(back, mix(fabric.base, fabric.inks[0], 0.75), depth=0.3)
    elif styling == "puff sleeves":
        canvas.line(end, fabric.tone(0.5), 5)
        for share in (0.25, 0.5, 0.75):
            middle = end[0] * share + end[1] * (1 - share)
            canvas.fold([middle, middle - (0, 24)], 0.5, 4)
    else:
        canvas.line(end, fabric.tone(0.25), 2)
