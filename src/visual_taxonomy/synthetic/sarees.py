"""Draw a saree: skirt, drape, pallu over the arm, border, blouse."""

from collections.abc import Mapping

import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas, Colour
from visual_taxonomy.synthetic.dyes import GOLD, mix, shade_of
from visual_taxonomy.synthetic.fabrics import Fabric, decorate
from visual_taxonomy.synthetic.garments import HEMS, Cut, draw_garment
from visual_taxonomy.synthetic.motifs import Inks
from visual_taxonomy.synthetic.outlines import Points, along, at, curve, limb, mirrored, offset
from visual_taxonomy.synthetic.wearers import Wearer

_BORDER_WIDTHS = {"no border": 0.0, "small border": 17.0, "big border": 46.0}
_SLEEVES = {"sleeveless": 0.0, "short sleeves": 0.3, "three-quarter sleeves": 0.64}
_SKIRT = curve([(0, 300), (52, 298), (72, 372), (88, 540), (104, 694), (56, 704), (0, 707)])
_SKIRT_HEM = curve([(104, 694), (56, 704), (0, 707), (-56, 704), (-104, 694)])
_DRAPE_TOP = curve([(34, 130), (2, 160), (-36, 206), (-60, 262), (-68, 336)])
_DRAPE_LOW = curve([(86, 144), (60, 206), (24, 266), (-22, 322), (-68, 352)])
_PALLU_IN = curve([(70, 150), (90, 230), (94, 330), (90, 460), (84, 606)])
_PALLU_OUT = curve([(86, 138), (128, 214), (186, 300), (196, 420), (200, 592)])
_PALLU_END = np.linspace(_PALLU_IN[-1], _PALLU_OUT[-1], 9)

_JEWELLERY = """
    dot bindi 2.6 : 0,32
    dot gold 3.5 7 both : 33,74
    line gold 3.5 smooth : -22,128 -12,148 0,154 12,148 22,128"""
_LEGS = "cloth legs 0.3 both : 4,300 50,300 58,400 42,690 18,690"
_SEQUIN = """
    line glint 1 : -6,0 6,0
    line glint 1 : 0,-6 0,6
    dot glint 2.4 : 0,0"""
_TASSEL = """
    line main 5 : 0,-4 0,34
    dot light 5.5 : 0,4"""
_STONE = """
    dot pearl 7.5 : 0,0
    dot ruby 4 : 0,0"""

# A stretch of border: x along it, from -0.35 to 0.35 to the next, y from its edge (0) to its end.
_STRETCHES = {
    "zari": """
        line light 0.09 : -0.4,0.15 0.4,0.15
        line light 0.09 : -0.4,0.8 0.4,0.8
        line dark 0.08 : -0.4,1 0.4,1
        dot dark 0.17 : 0,0.48
        dot light 0.08 : 0,0.48""",
    "woven design": """
        line light 0.08 : -0.4,0.12 0.4,0.12
        line light 0.08 : -0.4,0.9 0.4,0.9
        fill light : -0.3,0.5 0,0.22 0.3,0.5 0,0.78""",
    "temple border": """
        fill main : -0.36,0.95 0.36,0.95 0,1.75
        line light 0.1 : -0.4,0.3 0.4,0.3""",
    "default": """
        dot main 0.34 : 0,1
        dot light 0.16 : 0,0.6""",
}
_WOVEN_LINES = "\n".join(f"line line 4 : 60,{y} 230,{y}" for y in (446, 458, 516, 528, 582))


def draw_saree(
    canvas: Canvas, wearer: Wearer, cloth: Fabric, shown: Mapping[str, str],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw a saree on its wearer, its pallu spread over the arm on the right.

    Args:
        canvas: Where to draw.
        wearer: Who wears it, drawn already.
        cloth: Plain cloth for it, which is decorated.
        shown: Attribute -> class, every attribute of "Sarees".
        rng: Where all chance comes from.
    """
    techniques = {
        "zari woven": GOLD, "woven design": (cloth.tone(0.5), cloth.tone(0.32), cloth.tone(0.65)),
    }  # fmt: skip
    inks = techniques.get(shown["pattern"], cloth.inks)
    decorate(cloth, shown["print_or_pattern_type"], inks, rng, size=58.0)
    ornaments, sheer = shown["ornamentation"], shown["transparency"] == "yes"
    if ornaments == "sequins":
        spots = rng.uniform((-110, 120), (210, 710), size=(260, 2)).tolist()
        glint = (255, 255, 250) if sum(cloth.base) < 600 else (150, 120, 60)
        cloth.pen.draw(_SEQUIN, {"glint": glint}, at(*spots))
    border = shown["border"]
    main = cloth.inks[border == "default"]
    trim = GOLD if border == "zari" else (main, shade_of(main, 0.7), shade_of(main, 0.45))
    width = _BORDER_WIDTHS[shown["border_width"]] * rng.uniform(0.92, 1.08)
    _draw_jewellery(canvas, wearer)
    _draw_blouse(canvas, wearer, cloth, shown, trim, rng)
    _draw_skirt(canvas, cloth, sheer, rng)
    _draw_border(canvas, _SKIRT_HEM, border, width, trim)
    _draw_pallu(canvas, cloth, shown["pallu_details"], sheer, rng)
    _draw_border(canvas, _PALLU_OUT, border, width * 0.8, trim)
    drape = np.vstack([_DRAPE_TOP, _DRAPE_LOW[::-1]])
    canvas.cloth(drape, cloth.cut, depth=0.4, opacity=0.5 if sheer else 1.0)
    _draw_border(canvas, _DRAPE_LOW, border, width * 0.7, trim)
    for share in (0.25, 0.5, 0.75):
        canvas.fold(_DRAPE_TOP * (1 - share) + _DRAPE_LOW[::-1] * share, 0.35, 5)
    if ornaments == "tassels and latkans":
        canvas.draw(_TASSEL, {"main": trim[0], "light": trim[1]}, at(*_PALLU_END))
    elif ornaments == "default":
        stones = np.vstack([_PALLU_END, _DRAPE_TOP[::3], _PALLU_OUT[6::3]])
        canvas.draw(_STONE, {"pearl": (250, 248, 240), "ruby": (196, 40, 96)}, at(*stones))


def _draw_jewellery(canvas: Canvas, wearer: Wearer) -> None:
    canvas.draw(_JEWELLERY, {"gold": GOLD[0], "bindi": (176, 20, 40)})
    for path in wearer.arms:
        for bangle in (-3, -5):
            canvas.line(limb(path[bangle - 1 : bangle + 1], 11.0)[1:3], GOLD[0], 3)


def _draw_blouse(
    canvas: Canvas, wearer: Wearer, cloth: Fabric, shown: Mapping[str, str], trim: Inks,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    main = cloth.inks[0]
    looks = {  # ground, print and its inks
        "same as border": (trim[0], "diamonds", (trim[2], trim[1], trim[0])),
        "default": (main, "dots", (shade_of(main, 0.75),) * 3),
        "solid": (main, "solid", cloth.inks),
    }
    pattern = shown["blouse_pattern"]
    blouse = _printed(canvas, looks[pattern], 17, rng) if pattern in looks else cloth
    cut = Cut("blouse", "blouse", HEMS["blouse"], _SLEEVES[shown["sleeve_length"]])
    draw_garment(canvas, wearer, blouse, cut, main, rng)
    canvas.line([(-54, 245), (0, 249), (54, 245)], trim[0], 4)


def _draw_skirt(canvas: Canvas, cloth: Fabric, sheer: bool, rng: np.random.Generator) -> None:
    if sheer:  # the petticoat and the legs show through
        canvas.draw(_LEGS, {"legs": mix(cloth.base, (40, 26, 30), 0.5)})
    canvas.cloth(mirrored(_SKIRT), cloth.cut, depth=0.5, opacity=0.6 if sheer else 1.0)
    for lean in (*np.linspace(-0.55, 0.35, 6).tolist(), -1.2, 1.2):
        sway, foot = rng.uniform(-6, 6), np.clip(lean * 150, -76, 76)
        path = curve([(lean * 42, 306), (lean * 60 + sway, 460), (foot + sway, 700)], 4)
        canvas.fold(path, rng.uniform(0.35, 0.65), 6)


def _draw_pallu(
    canvas: Canvas, cloth: Fabric, details: str, sheer: bool, rng: np.random.Generator
) -> None:
    outline = np.vstack([_PALLU_IN, _PALLU_OUT[::-1]])
    opacity = 0.5 if sheer else 1.0
    canvas.cloth(outline, cloth.cut, depth=0.4, opacity=opacity)
    if details != "same as saree":
        main, second, third = cloth.inks
        tone = shade_of(main, 0.7)
        look = {
            "zari woven": (GOLD[0], "ethnic motif", (GOLD[2], GOLD[1], GOLD[1])),
            "woven design": (main, "diamonds", (tone, tone, main)),
            "default": (third, "stripes", (second, main, main)),
        }[details]
        end = _printed(canvas, look, 36, rng)
        end.pen.draw(_WOVEN_LINES, {"line": end.inks[1]})
        canvas.cloth(outline[outline[:, 1] > 440], end.cut, depth=0.3, opacity=opacity)
    for share in (0.2, 0.45, 0.7):
        path = _PALLU_IN * (1 - share) + _PALLU_OUT * share
        canvas.fold(path, rng.uniform(0.35, 0.65), 6)


def _printed(
    canvas: Canvas, look: tuple[Colour, str, Inks], size: float, rng: np.random.Generator
) -> Fabric:
    ground, print_type, inks = look
    fabric = Fabric(canvas, ground, inks)
    decorate(fabric, print_type, inks, rng, size)
    return fabric


def _draw_border(canvas: Canvas, line: Points, border: str, width: float, trim: Inks) -> None:
    """A border along a line, on its right-hand side: a class of `border`."""
    if width == 0 or border == "no border":
        return
    band = np.vstack([line, offset(line, width)[::-1]])
    canvas.cloth(band, trim[0], depth=0.15)
    inks = dict(zip(("main", "light", "dark"), trim, strict=True))
    canvas.draw(_STRETCHES.get(border, ""), inks, along(line, 0.7 * width, width))
