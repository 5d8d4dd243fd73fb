"""Draw T-shirts and tops from their labels.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
"""

import numpy as np
from PIL import ImageDraw

from visual_taxonomy.synthetic.canvas import Canvas, Colour, curve, mirrored
from visual_taxonomy.synthetic.fabrics import Fabric, decorate, mix, shade_of, woven
from visual_taxonomy.synthetic.figure import (
    Person,
    draw_arms,
    draw_back_hair,
    draw_head,
    draw_torso,
    draw_trousers,
    meet_person,
)
from visual_taxonomy.synthetic.motifs import stamp
from visual_taxonomy.synthetic.tailoring import SLEEVES, Labels, draw_neck, draw_sleeves, trunk

_HEMS = {"crop": 292.0, "regular": 388.0, "long": 444.0}
_WAISTS = {  # half widths at waist and hem
    "fitted": (50.0, 66.0), "regular": (62.0, 74.0), "loose": (78.0, 96.0), "boxy": (86.0, 88.0),
    "peplum": (50.0, 104.0),
}  # fmt: skip


def _put_on(canvas: Canvas, person: Person, rng: np.random.Generator, worn: bool) -> None:
    if not worn:  # on an invisible mannequin: only the inside of the back is seen
        return
    draw_back_hair(canvas, person)
    draw_torso(canvas, person)
    draw_trousers(canvas, rng, person.woman)
    draw_arms(canvas, person)
    draw_head(canvas, person)


def _top(
    labels: Labels, rng: np.random.Generator, image_size: int, woman: bool
) -> tuple[Canvas, Person, Fabric]:
    """The canvas, wearer and plain cloth of a garment for the upper body."""
    reach = rng.uniform(8, 20)
    canvas = Canvas(image_size, middle=0, top=rng.uniform(14, 34), height=rng.uniform(432, 452))
    person = meet_person(rng, woman, reach=reach)
    fabric = woven(canvas, labels["color"], rng)
    return canvas, person, fabric


def _draw_top(
    canvas: Canvas, person: Person, fabric: Fabric, rng: np.random.Generator, neck: str,
    fit: str, length: str, sleeves: tuple[float, str], worn: bool,
) -> None:  # fmt: skip
    """Wearer, back, sleeves, trunk, neck and folds of a garment for the upper body."""
    _put_on(canvas, person, rng, worn)
    inside = mix(fabric.base, (20, 16, 20), 0.45)
    if not worn:
        canvas.cloth(mirrored(curve([(0, 126), (34, 118), (40, 150), (0, 200)], 3)), inside)
    waist, wide = _WAISTS[fit]
    shoulder = {"boxy": 92.0, "loose": 88.0}.get(fit, 76.0 if person.woman else 84.0)
    hem = _HEMS[length] + rng.uniform(-8, 8)
    share, cut = sleeves
    if share > 0:
        ease = {"fitted": 0.85, "peplum": 0.85, "loose": 1.25, "boxy": 1.2}.get(fit, 1.0)
        draw_sleeves(canvas, person, fabric, share, cut, shoulder, ease)
    else:
        shoulder = 58.0
    half = trunk(neck, waist, (wide, hem), shoulder)
    canvas.cloth(mirrored(half), fabric.cut, depth=0.45)
    canvas.line([(-wide + 2, hem - 6), (0, hem - 1), (wide - 2, hem - 6)],
                shade_of(fabric.base, 0.22), 1.6)  # fmt: skip
    draw_neck(canvas, neck, fabric, person.skin if worn else inside, rng)
    for side in (-1, 1):
        for _ in range(2):
            x, y = side * rng.uniform(50, 60), rng.uniform(206, 225)
            to = (side * rng.uniform(5, 25), y + rng.uniform(15, 50))
            canvas.fold(curve([(x, y), (x * 0.7, y + 16), to], 4), rng.uniform(0.15, 0.4))
        canvas.fold([(side * waist * 0.7, hem - 90), (side * wide * 0.6, hem - 6)],
                    rng.uniform(0.15, 0.45), 6)  # fmt: skip


def draw_men_tshirt(labels: Labels, rng: np.random.Generator, image_size: int) -> Canvas:
    """Draw a man's T-shirt, worn or on an invisible mannequin.

    Args:
        labels: Attribute -> class, every attribute of "Men Tshirts".
        rng: Where all chance comes from.
        image_size: Height of the finished picture in pixels.

    Returns:
        The canvas, to be finished.
    """
    canvas, person, fabric = _top(labels, rng, image_size, woman=False)
    decorate(canvas, fabric, labels["print_or_pattern_type"], "printed", rng, ("waves", "dots"))
    sleeves = SLEEVES[labels["sleeve_length"]], "regular"
    worn = bool(rng.random() < 0.65)
    _draw_top(canvas, person, fabric, rng, labels["neck"], "regular", "regular", sleeves, worn)
    if labels["pocket"] == "patch pocket":
        outline = [(20, 196), (54, 196), (54, 228), (37, 238), (20, 228)]
        canvas.cloth(outline, shade_of(fabric.base, 0.16), depth=0.2)
        canvas.line([*outline, outline[0]], shade_of(fabric.base, 0.55), 2.2)
        canvas.line([(20, 203), (54, 203)], shade_of(fabric.base, 0.55), 2)
    return canvas


def draw_women_tshirt(labels: Labels, rng: np.random.Generator, image_size: int) -> Canvas:
    """Draw a woman's T-shirt, worn or on an invisible mannequin.

    Args:
        labels: Attribute -> class, every attribute of "Women Tshirts".
        rng: Where all chance comes from.
        image_size: Height of the finished picture in pixels.

    Returns:
        The canvas, to be finished.
    """
    canvas, person, fabric = _top(labels, rng, image_size, woman=True)
    decorate(canvas, fabric, labels["print_or_pattern_type"], "printed", rng,
             ("stripes", "waves", "dots"))  # fmt: skip
    share = SLEEVES.get(labels["sleeve_length"]) or (0.66 if rng.random() < 0.6 else 0.0)
    sleeves = share, labels["sleeve_styling"]
    neck = ("round", "round", "v-neck")[rng.integers(3)]
    worn = bool(rng.random() < 0.75)
    fit, length = labels["fit_shape"], labels["length"]
    _draw_top(canvas, person, fabric, rng, neck, fit, length, sleeves, worn)
    _add_surface(canvas, fabric, labels["surface_styling"], _HEMS[length], _WAISTS[fit], rng)
    return canvas


def draw_women_top(labels: Labels, rng: np.random.Generator, image_size: int) -> Canvas:
    """Draw a top or tunic, worn or on an invisible mannequin.

    Args:
        labels: Attribute -> class, every attribute of "Women Tops & Tunics".
        rng: Where all chance comes from.
        image_size: Height of the finished picture in pixels.

    Returns:
        The canvas, to be finished.
    """
    canvas, person, fabric = _top(labels, rng, image_size, woman=True)
    decorate(canvas, fabric, labels["print_or_pattern_type"], "printed", rng,
             ("stripes", "checked", "dots"))  # fmt: skip
    share, styling = SLEEVES[labels["sleeve_length"]], labels["sleeve_styling"]
    cut = ("flared", "cuffed sleeves")[rng.integers(2)] if styling == "default" else styling
    neck = labels["neck_collar"]
    neck = ("collar", "boat")[rng.integers(2)] if neck == "default" else neck
    fit = "peplum" if labels["fit_shape"] == "default" else labels["fit_shape"]
    surface, length = labels["surface_styling"], labels["length"]
    if surface == "knitted":
        _knit(canvas, fabric)
    worn = bool(rng.random() < 0.8)
    _draw_top(canvas, person, fabric, rng, neck, fit, length, (share, cut), worn)
    _add_surface(canvas, fabric, surface, _HEMS[length], _WAISTS[fit], rng)
    return canvas


def _knit(canvas: Canvas, fabric: Fabric) -> None:
    rib, edge = shade_of(fabric.base, 0.34), canvas.pixels([(-130, 80), (130, 480)])
    pen = ImageDraw.Draw(fabric.image)
    for x in np.arange(edge[0, 0], edge[1, 0], 10 * canvas.scale).tolist():
        pen.line((x, edge[0, 1], x, edge[1, 1]), rib, max(1, round(3.4 * canvas.scale)))


def _add_surface(
    canvas: Canvas, fabric: Fabric, surface: str, hem: float, width: tuple[float, float],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """What is sewn or tied onto a top: a class of `surface_styling`."""
    dark, ink = shade_of(fabric.base, 0.5), fabric.inks[0]
    if surface == "ruffles":
        for y in (168.0, 190.0, 212.0):
            _ruffle(canvas, fabric, y, 62)
    elif surface == "waist tie-ups":
        wide, y = width[0] + 6, min(284.0, hem - 22)
        canvas.cloth([(-wide, y - 8), (wide, y - 8), (wide, y + 8), (-wide, y + 8)], dark)
        _bow(canvas, (22, y), dark, 1.3)
    elif surface == "tie-ups":
        canvas.line([(0, 150), (0, 240)], dark, 2.5)
        for y in (172.0, 202.0, 232.0):
            _bow(canvas, (0, y), dark, 0.75)
    elif surface == "applique":
        kind = ("heart", "flower", "star")[rng.integers(3)]
        tile = stamp(kind, 50 * canvas.scale, (ink, (250, 214, 60), (250, 250, 246)), 0.0)
        x, y = canvas.pixels([(34, 205)])[0].tolist()
        canvas.paste(tile, (int(x - tile.width / 2), int(y - tile.height / 2)))
    elif surface == "default":
        if rng.random() < 0.5:
            _bow(canvas, (0, hem - 10), dark, 1.6)
        else:
            spots = rng.uniform((-58, 160), (58, min(hem, 330) - 10), size=(70, 2))
            canvas.dots(spots, 2.6, (255, 250, 226) if fabric.base[0] < 225 else (190, 150, 60))


def _ruffle(canvas: Canvas, fabric: Fabric, y: float, half: float) -> None:
    x = np.linspace(-half, half, 25)
    low = y + 20 + 5 * np.sin(np.arange(25) * np.pi / 2)
    outline = np.vstack([np.stack([x, np.full(25, y)], 1), np.stack([x, low], 1)[::-1]])
    canvas.cloth(outline, mix(fabric.base, shade_of(fabric.base), 0.5), depth=0.7)
    canvas.line(np.stack([x, low], 1), shade_of(fabric.base, 0.5), 2.2)


def _bow(canvas: Canvas, centre: tuple[float, float], colour: Colour, size: float) -> None:
    edge = shade_of(colour, 0.3)
    for side in (-1, 1):
        loop = curve([(0, 0), (16, -12), (26, -3), (16, 7), (0, 0)], 4) * (side * size, size)
        tail = np.array([(0, 0), (7, 2), (15, 32), (8, 34)]) * (side * size, size)
        for piece in (tail, loop):
            canvas.cloth(piece + centre, colour, depth=0.4)
            canvas.line(piece + centre, edge, 1.5)
    canvas.oval(centre, 4.5 * size, 4.5 * size, edge)
