"""Draw one product image from its labels: the garment, worn or not, and what is sewn onto it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from visual_taxonomy.choice import find
from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.dyes import GOLD, mix
from visual_taxonomy.synthetic.fabrics import CHEST, Fabric, decorate, woven
from visual_taxonomy.synthetic.garments import FITS, HEMS, SLEEVES, Cut, draw_garment
from visual_taxonomy.synthetic.motifs import MOTIFS, motif_inks
from visual_taxonomy.synthetic.outlines import Points, at, curve
from visual_taxonomy.synthetic.photograph import photograph
from visual_taxonomy.synthetic.sarees import draw_saree
from visual_taxonomy.synthetic.views import WHOLE, View, seen
from visual_taxonomy.synthetic.wearers import Wearer, draw_wearer, meet_wearer

Labels = Mapping[str, str]


class _Style(NamedTuple):
    """What garments of a category have in common.

    `top` is y at the upper edge of the image and `height` how much is seen, the least of each;
    `prints` are the looks of the print type "default".
    """

    top: float
    height: float
    worn: float
    legs: str
    prints: tuple[str, ...]


_STYLES = {
    "Men Tshirts": _Style(14, 432, 0.65, "trousers", ("waves", "dots")),
    "Sarees": _Style(-36, 752, 1, "", ("waves", "panels")),
    "Kurtis": _Style(-36, 715, 1, "leggings", ("panels", "dots")),
    "Women Tshirts": _Style(14, 432, 0.75, "trousers", ("stripes", "waves", "dots")),
    "Women Tops & Tunics": _Style(14, 432, 0.8, "trousers", ("stripes", "checked", "dots")),
}
# Attribute -> what stands for its class "default"; others show it by a look of its own.
_LOOKS = {
    "neck": ("round", "round", "v-neck"), "neck_collar": ("polo", "boat"), "fit_shape": ("peplum",),
    "sleeve_length": ("three-quarter sleeves", "three-quarter sleeves", "sleeveless"),
    "sleeve_styling": ("flared", "cuffed sleeves"), "surface_styling": ("bow", "sequins"),
}  # fmt: skip


def draw_product(
    category: str, labels: Labels, rng: np.random.Generator, image_size: int = 160,
    view: View = WHOLE, camera: np.random.Generator | None = None,
) -> Image.Image:  # fmt: skip
    """Photograph a garment that shows its labels.

    Args:
        category: A category of `synthetic_taxonomy()`.
        labels: Attribute -> class, every attribute of the category.
        rng: Where all chance comes from: wearer, cut, cloth, backdrop, camera, light.
        image_size: Height in pixels; the width is three quarters of it.
        view: What is photographed.
        camera: Where the chance of backdrop, camera and light comes from; None: from `rng`. With
            one for each view, equal `rng` show the same product on different photographs.

    Returns:
        An RGB image.

    Raises:
        InputError: There is no such category.

    Example:
        >>> labels = {"color": "red", "neck": "polo", "pattern": "solid", "pocket": "no pocket",
        ...           "print_or_pattern_type": "solid", "sleeve_length": "short sleeves"}
        >>> draw_product("Men Tshirts", labels, np.random.default_rng(0)).size
        (120, 160)
    """
    own, choice = rng.spawn(2)  # whatever was drawn, the same backdrop, light and noise
    figure = draw_figure(category, labels, rng, choice, image_size, view)
    return photograph(figure, own if camera is None else camera)


def draw_figure(
    category: str, labels: Labels, rng: np.random.Generator, choice: np.random.Generator,
    image_size: int, view: View = WHOLE,
) -> Canvas:  # fmt: skip
    """What `draw_product` photographs; `choice` picks the looks of the class "default"."""
    style = find(_STYLES, category)
    shown = {"neck": "default", "fit_shape": "regular", **labels}
    for attribute, looks in ({"print_or_pattern_type": style.prints} | _LOOKS).items():
        look = looks[choice.integers(len(looks))]
        if shown.get(attribute) == "default":
            shown[attribute] = look
    shown = seen(shown, view)
    saree = category == "Sarees"
    top, height = style.top + rng.uniform(0, 15), style.height + rng.uniform(0, 20)
    canvas = Canvas(image_size, 38 if saree else 0, top + view.top * height, view.height * height)
    reach = 33.0 if saree else rng.uniform(8, 18)
    wearer = meet_wearer(rng, category != "Men Tshirts", reach)
    fabric = woven(canvas, shown["color"], rng)
    worn = rng.random() < style.worn
    if worn:
        draw_wearer(canvas, wearer, style.legs, view.is_back)
    if saree:
        draw_saree(canvas, wearer, fabric, shown, rng)
    else:
        _draw_sewn(canvas, wearer, fabric, shown, worn, rng)
    return canvas


def _draw_sewn(
    canvas: Canvas, wearer: Wearer, fabric: Fabric, shown: Labels, worn: bool,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    decorate(fabric, shown["print_or_pattern_type"], fabric.inks, rng)
    ornament = shown.get("ornamentation", shown.get("surface_styling", "none"))
    if ornament == "knitted":
        decorate(fabric, "knitted", (fabric.tone(0.34),) * 3, rng)
    below = mix(fabric.base, (20, 16, 20), 0.45)
    if not worn:  # on an invisible mannequin: the inside of the back is seen
        canvas.draw("cloth below half smooth : 0,126 34,118 40,150 0,200", {"below": below})
    cut = Cut(
        shown.get("neck_collar", shown["neck"]),
        shown["fit_shape"],
        HEMS[shown.get("length", "regular")] + rng.uniform(-8, 8),
        SLEEVES[shown["sleeve_length"]],
        shown.get("sleeve_styling", "regular"),
    )
    draw_garment(canvas, wearer, fabric, cut, wearer.inks["skin"] if worn else below, rng)
    _crease(canvas, fabric, cut, rng)
    _add_ornament(canvas, fabric, ornament, cut, rng)
    if shown.get("pocket") == "patch pocket":
        _add_ornament(canvas, fabric, "pocket", cut, rng)


def _crease(canvas: Canvas, fabric: Fabric, cut: Cut, rng: np.random.Generator) -> None:
    """Folds from armpits and hips, the slits of a straight kurti."""
    skirt = cut.hem > HEMS["long"] + 20
    for side in (-1, 1):
        for _ in range(2):
            x, y = side * rng.uniform(50, 60), rng.uniform(206, 225)
            end = side * rng.uniform(5, 25), y + rng.uniform(15, 50)
            canvas.fold(curve([(x, y), (x * 0.7, y + 16), end], 4), rng.uniform(0.15, 0.4))
        for start, foot in ((12, 0.2), (30, 0.5), (48, 0.8)) if skirt else ((44, 0.6),):
            top = (340 if skirt else cut.hem - 84) + rng.uniform(-40, 40)
            strength = rng.uniform(0.15, 0.45)
            canvas.fold([(side * start, top), (side * cut.wide * foot, cut.hem)], strength, 6)
    if cut.fit == "straight":
        slit = at((0, cut.hem), wide=cut.wide / 100, high=1)
        canvas.draw("fill dark both : 99,-90 89,4 101,2", fabric.palette, slit)


_BOW = """
    cloth dark 0.4 both : 0,0 7,2 15,32 8,34
    line edge 1.5 both : 0,0 7,2 15,32 8,34
    cloth dark 0.4 both smooth : 0,0 16,-12 26,-3 16,7 0,0
    line edge 1.5 both smooth : 0,0 16,-12 26,-3 16,7 0,0
    dot edge 4.5 : 0,0"""
_WAVE = " ".join(f"{x},{20 + 5 * np.sin(x / 3.3):.1f}" for x in range(62, -63, -5))
_RUFFLE = f"""
    cloth seam 0.7 : -62,0 62,0 {_WAVE}
    line dark 2.2 : {_WAVE}"""
_SCALLOPS = " ".join(f"{x},{8 - 10 * (x / 100) ** 2:.1f}" for x in range(-96, 97, 8))
_LACE = f"""
    cloth lace 0.3 half smooth : 0,-18 50,-20 98,-28 99,-2 50,5 0,8
    dot lace 6.5 : {_SCALLOPS}
    dot trim 2.5 : {_SCALLOPS}"""
_YOKE = """
    cloth gold 0.3 half : 0,150 30,142 28,236 0,252
    dot glint 4.2 : 0,168 -16,174 16,174 0,185 -16,191 16,191 0,202 -16,208 16,208 0,219
    dot glint 4.2 : -16,225 16,225 0,236
    line glint 2.5 half : 0,150 30,142 28,236 0,252"""
_POCKET = """
    cloth pale 0.2 : 20,196 54,196 54,228 37,238 20,228
    line dark 2.2 : 20,196 54,196 54,228 37,238 20,228 20,196
    line dark 2 : 20,203 54,203"""
_TASSELS = """
    line gold 2.5 : 0,158 -9,250
    line gold 2.5 : 0,158 9,262
    dot gold 6 11 : -9,258 9,270"""
_SPOTS = " ".join(f"{x:.0f},{y:.2f}" for x, y in np.random.default_rng(0).uniform(
    (-58, 0), (58, 1), size=(70, 2)))  # fmt: skip


def _ornaments(cut: Cut) -> dict[str, list[tuple[str, Points]]]:
    """Script and places of what is sewn, tied or woven onto a garment of a cut."""
    waist, y = FITS[cut.fit][0] + 6, min(284.0, cut.hem - 22)
    body = at((0, 0))
    return {
        "bow": [(_BOW, at((0, cut.hem - 10), wide=1.6))],
        "tie-ups": [("line dark 2.5 : 0,150 0,240", body),
                    (_BOW, at((0, 172), (0, 202), (0, 232), wide=0.75))],
        "waist tie-ups": [("cloth dark half : 0,-8 1,-8 1,8 0,8", at((0, y), wide=waist, high=1)),
                          (_BOW, at((22, y), wide=1.3))],
        "ruffles": [(_RUFFLE, at((0, 168), (0, 190), (0, 212)))],
        "sequins": [(f"dot glint 2.6 : {_SPOTS}", at((0, 160), high=min(cut.hem, 330) - 170))],
        "lace": [(_LACE, at((0, cut.hem), wide=cut.wide / 100, high=1))],
        "embroidery": [(_YOKE, body)],
        "default": [(_TASSELS, body)],
        "pocket": [(_POCKET, body)],
    }  # fmt: skip


def _add_ornament(
    canvas: Canvas, fabric: Fabric, name: str, cut: Cut, rng: np.random.Generator
) -> None:
    gold, glint = GOLD[:2] if rng.random() < 0.7 else ((226, 228, 234), (170, 60, 90))
    lace = (250, 248, 240) if fabric.base[1] < 200 else (196, 160, 80)
    inks = fabric.palette | {"gold": gold, "glint": glint, "lace": lace}
    if name == "applique":
        motif = ("heart", "flower", "star")[rng.integers(3)]
        sewn = motif_inks((fabric.inks[0], (250, 214, 60), (250, 250, 246)))
        canvas.draw(MOTIFS[motif], sewn, at((34, CHEST[1] - 15), wide=0.25))
    for script, places in _ornaments(cut).get(name, ()):
        canvas.draw(script, inks, places)
