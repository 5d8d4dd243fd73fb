"""Draw a saree from its labels: skirt, drape, pallu over the arm, border, blouse.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
"""

from collections.abc import Mapping

import numpy as np
from PIL import ImageDraw

from visual_taxonomy.synthetic.canvas import Canvas, Colour, Points, curve, mirrored, offset
from visual_taxonomy.synthetic.fabrics import (
    GOLD,
    Fabric,
    Inks,
    add_dots,
    add_motifs,
    decorate,
    mix,
    shade_of,
    woven,
)
from visual_taxonomy.synthetic.figure import (
    Person,
    draw_arms,
    draw_back_hair,
    draw_head,
    draw_torso,
    limb,
    meet_person,
)

_BORDER_WIDTHS = {"no border": 0.0, "small border": 17.0, "big border": 46.0}
_SLEEVES = {"sleeveless": 0.0, "short sleeves": 0.3, "three-quarter sleeves": 0.64}
_SKIRT = curve([(0, 300), (52, 298), (72, 372), (88, 540), (104, 694), (56, 704), (0, 707)])
_SKIRT_HEM = curve([(104, 694), (56, 704), (0, 707), (-56, 704), (-104, 694)])
_DRAPE_TOP = curve([(34, 130), (2, 160), (-36, 206), (-60, 262), (-68, 336)])
_DRAPE_LOW = curve([(-68, 352), (-22, 322), (24, 266), (60, 206), (86, 144)])
_PALLU_IN = curve([(70, 150), (90, 230), (94, 330), (90, 460), (84, 606)])
_BLOUSE_NECK = curve([(0, 176), (20, 168), (34, 146), (36, 132)], 4)
_NECKLACE = curve([(-22, 128), (-12, 148), (0, 154), (12, 148), (22, 128)])
_PALLU_OUT = curve([(86, 138), (128, 214), (186, 300), (196, 420), (200, 592)])


def draw_saree(labels: Mapping[str, str], rng: np.random.Generator, image_size: int) -> Canvas:
    """Draw a saree, worn, its pallu spread over the arm on the right.

    Args:
        labels: Attribute -> class, every attribute of "Sarees".
        rng: Where all chance comes from.
        image_size: Height of the finished picture in pixels.

    Returns:
        The canvas, to be finished.
    """
    canvas = Canvas(image_size, middle=38, top=rng.uniform(-36, -26), height=rng.uniform(752, 766))
    person = meet_person(rng, woman=True, reach=33.0)
    cloth = woven(canvas, labels["color"], rng)
    ornaments = labels["ornamentation"]
    decorate(canvas, cloth, labels["print_or_pattern_type"], labels["pattern"], rng,
             ("waves", "panels"), motif_size=58.0)  # fmt: skip
    if ornaments == "sequins":
        _sequins(canvas, cloth, rng)
    border = labels["border"]
    inks = GOLD if border == "zari" else _border_inks(cloth, border)
    width = _BORDER_WIDTHS[labels["border_width"]] * rng.uniform(0.92, 1.08)
    sheer = labels["transparency"] == "yes"
    draw_back_hair(canvas, person)
    draw_torso(canvas, person)
    draw_arms(canvas, person)
    draw_head(canvas, person)
    _jewellery(canvas, person)
    _blouse(canvas, person, labels, cloth, inks, rng)
    _skirt(canvas, cloth, sheer, rng)
    _trim(canvas, _SKIRT_HEM, border, width, inks)
    _pallu(canvas, cloth, labels, (border, width, inks), sheer, rng)
    drape = np.vstack([_DRAPE_TOP, _DRAPE_LOW])
    canvas.cloth(drape, cloth.cut, opacity=0.5 if sheer else 1.0, depth=0.4)
    _trim(canvas, _DRAPE_LOW[::-1], border, width * 0.7, inks)
    for shift in (0.25, 0.5, 0.75):
        line = _DRAPE_TOP * (1 - shift) + _DRAPE_LOW[::-1] * shift
        canvas.fold(line, 0.35, 5)
    if ornaments in ("tassels and latkans", "default"):
        _hangings(canvas, ornaments, inks)
    return canvas


def _border_inks(cloth: Fabric, border: str) -> Inks:
    main = cloth.inks[0] if border != "default" else cloth.inks[1]
    return main, shade_of(main, 0.7), shade_of(main, 0.45)


def _sequins(canvas: Canvas, cloth: Fabric, rng: np.random.Generator) -> None:
    pen = ImageDraw.Draw(cloth.image)
    width, height = cloth.image.size
    glint: Colour = (255, 255, 250) if sum(cloth.base) < 600 else (150, 120, 60)
    r = max(1.0, 3.0 * canvas.scale)
    for x, y in (rng.random((260, 2)) * (width, height)).tolist():
        pen.line((x - 2 * r, y, x + 2 * r, y), glint, 1)
        pen.line((x, y - 2 * r, x, y + 2 * r), glint, 1)
        pen.ellipse((x - r * 0.7, y - r * 0.7, x + r * 0.7, y + r * 0.7), glint)


def _jewellery(canvas: Canvas, person: Person) -> None:
    gold = GOLD[0]
    canvas.dots([(0, 32)], 2.6, (176, 20, 40))
    for side in (-1, 1):
        canvas.oval((side * 33, 74), 3.5, 7, gold)
    canvas.line(_NECKLACE, gold, 3.5)
    for path in person.arms:
        for at in (-3, -5):
            canvas.line(limb(path[at - 1 : at + 1], 11.0), gold, 3)


def _blouse(
    canvas: Canvas, person: Person, labels: Mapping[str, str], cloth: Fabric, inks: Inks,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    pattern = labels["blouse_pattern"]
    plain = Fabric(cloth.size, cloth.inks[0], cloth.inks)
    if pattern == "same as saree":
        plain = cloth
    elif pattern == "same as border":
        plain = Fabric(cloth.size, inks[0], inks)
        add_motifs(canvas, plain, "diamond", 17, (inks[2], inks[1], inks[0]), rng)
    elif pattern == "default":
        spots = shade_of(cloth.inks[0], 0.75)
        add_dots(canvas, plain, (spots, spots, spots), rng)
    share = _SLEEVES[labels["sleeve_length"]]
    shoulder = 72 if share else 56
    if share:
        for side, path in zip((-1, 1), person.arms, strict=True):
            count = round(40 * share) + 1
            sleeve = limb(path[:count], np.interp(np.arange(count), (0, 6, count), (11, 21, 16)))
            canvas.cloth(sleeve, plain.cut, depth=0.5)
            end = sleeve[[count - 1, count]]
            canvas.line(end, inks[0], 5)
            canvas.cloth(np.array([(60, 138), (76, 138), (88, 158), (66, 200)]) * (side, 1),
                         plain.cut, depth=0.3)  # fmt: skip
    half = np.concatenate(
        [_BLOUSE_NECK, [(shoulder, 137), (shoulder - 4, 176), (62, 204), (54, 246), (0, 250)]]
    )
    canvas.cloth(mirrored(half), plain.cut, depth=0.45)
    canvas.line([(-54, 245), (0, 249), (54, 245)], inks[0], 4)


def _skirt(canvas: Canvas, cloth: Fabric, sheer: bool, rng: np.random.Generator) -> None:
    outline = mirrored(_SKIRT)
    if sheer:  # the petticoat and the legs show through
        for side in (-1, 1):
            leg = np.array([(4, 300), (50, 300), (58, 400), (42, 690), (18, 690)]) * (side, 1)
            canvas.cloth(leg, mix(cloth.base, (40, 26, 30), 0.5), depth=0.3)
    canvas.cloth(outline, cloth.cut, opacity=0.68 if sheer else 1.0, depth=0.5)
    for at in np.linspace(-0.55, 0.35, 6).tolist():
        sway = rng.uniform(-6, 6)
        path = curve([(at * 26, 306), (at * 60 + sway, 480), (at * 150 + sway, 704)], 4)
        canvas.fold(path, rng.uniform(0.5, 0.85), 6)
    for side in (-1, 1):
        path = curve([(side * 40, 310), (side * 66, 420), (side * rng.uniform(60, 84), 690)], 4)
        canvas.fold(path, rng.uniform(0.3, 0.6), 7)


def _pallu(
    canvas: Canvas, cloth: Fabric, labels: Mapping[str, str], edge: tuple[str, float, Inks],
    sheer: bool, rng: np.random.Generator,
) -> None:  # fmt: skip
    border, width, inks = edge
    outline = np.vstack([_PALLU_IN, _PALLU_OUT[::-1]])
    details = labels["pallu_details"]
    if details != "same as saree":
        cloth = cloth.copy()
        _pallu_end(canvas, cloth, details, rng)
    canvas.cloth(outline, cloth.cut, opacity=0.55 if sheer else 1.0, depth=0.4)
    _trim(canvas, _PALLU_OUT, border, width * 0.8, inks)
    for at in (0.2, 0.45, 0.7):
        path = _PALLU_IN * (1 - at) + _PALLU_OUT * at
        canvas.fold(path, rng.uniform(0.35, 0.65), 6)


def _pallu_end(canvas: Canvas, cloth: Fabric, details: str, rng: np.random.Generator) -> None:
    """Change the lower end of the pallu: gold bands, a woven lattice, or loud stripes."""
    (left, top), (right, low) = canvas.pixels([(60, 440), (225, 640)]).tolist()
    pen = ImageDraw.Draw(cloth.image)
    unit = canvas.scale
    if details == "zari woven":
        ground, line, motif, inks = GOLD[0], GOLD[1], "paisley", (GOLD[2], GOLD[1], GOLD[1])
    elif details == "woven design":
        tone = shade_of(cloth.inks[0], 0.7)
        ground, line, motif, inks = cloth.inks[0], tone, "diamond", (tone, cloth.inks[0], tone)
    else:
        for i, y in enumerate(np.arange(top, low, 20 * unit).tolist()):
            pen.rectangle((left, y, right, y + 20 * unit), cloth.inks[i % 3])
        return
    pen.rectangle((left, top, right, low), ground)
    for y in (446, 458, 516, 528, 582):
        at = canvas.pixels([(0, y)])[0, 1]
        pen.line((left, at, right, at), line, max(1, round(4 * unit)))
    box = round(left), round(top), round(right), round(low)
    band = cloth.image.crop(box)
    add_motifs(canvas, Fabric(band.size, cloth.base, cloth.inks, band), motif, 36, inks, rng)
    cloth.image.paste(band, box)


def _trim(canvas: Canvas, line: Points, border: str, width: float, inks: Inks) -> None:
    """A border along a line, on its right-hand side: a class of `border`."""
    if width <= 0 or border == "no border":
        return
    main, light, dark = inks
    inner = offset(line, width)
    canvas.cloth(np.vstack([line, inner[::-1]]), main, depth=0.15)
    places = _evenly(line, max(11.0, width * 0.62))
    middle, _, across = places
    if border == "zari":
        for share in (0.15, 0.8):
            canvas.line(offset(line, width * share), light, 3.2)
        canvas.line(inner, dark, 2.6)
        canvas.dots(middle + across * width * 0.48, width * 0.15, dark)
        canvas.dots(middle + across * width * 0.48, width * 0.07, light)
    elif border == "woven design":
        canvas.line(offset(line, width * 0.12), light, 2.4)
        canvas.line(offset(line, width * 0.9), light, 2.4)
        _pieces(canvas, places, width, ((-0.3, 0.5), (0, 0.22), (0.3, 0.5), (0, 0.78)), light)
    elif border == "temple border":
        _pieces(canvas, places, width, ((-0.34, 0.95), (0.34, 0.95), (0, 1.75)), main)
        canvas.line(offset(line, width * 0.3), light, 2.4)
    elif border == "default":  # scallops
        canvas.dots(middle + across * width, max(6.0, width * 0.32), main)
        canvas.dots(middle + across * width * 0.6, width * 0.16, light)


def _evenly(line: Points, spacing: float) -> tuple[Points, Points, Points]:
    """Places along a line: positions, directions along and across it, [P, 2] each."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.arange(spacing / 2, length[-1], spacing)
    middle = np.stack([np.interp(at, length, line[:, i]) for i in (0, 1)], axis=1)
    ahead = np.stack([np.interp(at + 1, length, line[:, i]) for i in (0, 1)], axis=1)
    behind = np.stack([np.interp(at - 1, length, line[:, i]) for i in (0, 1)], axis=1)
    along = ahead - behind
    along /= np.hypot(along[:, 0], along[:, 1])[:, None]
    return middle, along, np.stack([-along[:, 1], along[:, 0]], axis=1)


def _pieces(
    canvas: Canvas, places: tuple[Points, Points, Points], width: float,
    shape: tuple[tuple[float, float], ...], colour: Colour,
) -> None:  # fmt: skip
    """One small polygon at every place; `shape` is (along, across) in border widths."""
    middle, along, across = (part[:, None] for part in places)
    forth, aside = (np.array(shape) * width).T[..., None]
    canvas.fill(middle + along * forth + across * aside, colour)


def _hangings(canvas: Canvas, ornaments: str, inks: Inks) -> None:
    """Tassels, or pearls and stones, along the end of the pallu and the drape."""
    ends = np.linspace(_PALLU_IN[-1], _PALLU_OUT[-1], 9)
    if ornaments == "tassels and latkans":
        for x, y in ends.tolist():
            canvas.line([(x, y - 4), (x, y + 34)], inks[0], 5)
            canvas.dots([(x, y + 4)], 5.5, inks[1])
        return
    stones = np.vstack([ends, _DRAPE_TOP[::3], _PALLU_OUT[6::3]])
    canvas.dots(stones, 7.5, (250, 248, 240))
    canvas.dots(stones, 4.0, (196, 40, 96))
