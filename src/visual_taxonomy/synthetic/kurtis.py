"""Draw a kurti from its labels: tunic to the knee or calf over leggings.

Body units: x to the right of the middle of the body, y down from the top of the head, which is 100
high.
"""

import numpy as np

from visual_taxonomy.synthetic.canvas import Canvas, mirrored
from visual_taxonomy.synthetic.fabrics import Fabric, decorate, dye, shade_of, woven
from visual_taxonomy.synthetic.figure import (
    draw_arms,
    draw_back_hair,
    draw_head,
    draw_leggings,
    draw_torso,
    meet_person,
)
from visual_taxonomy.synthetic.tailoring import SLEEVES, Labels, draw_neck, draw_sleeves, trunk


def draw_kurti(labels: Labels, rng: np.random.Generator, image_size: int) -> Canvas:
    """Draw a kurti, worn over leggings.

    Args:
        labels: Attribute -> class, every attribute of "Kurtis".
        rng: Where all chance comes from.
        image_size: Height of the finished picture in pixels.

    Returns:
        The canvas, to be finished.
    """
    canvas = Canvas(image_size, middle=0, top=rng.uniform(-36, -26), height=rng.uniform(715, 745))
    person = meet_person(rng, woman=True)
    fabric = woven(canvas, labels["color"], rng)
    decorate(canvas, fabric, labels["print_or_pattern_type"], "printed", rng, ("panels", "dots"))
    legs = dye(("white", "black", "cream")[rng.integers(3)], rng)
    draw_back_hair(canvas, person)
    draw_leggings(canvas, legs, person.skin)
    draw_torso(canvas, person)
    draw_arms(canvas, person)
    draw_head(canvas, person)
    hem = {"knee length": 505.0, "calf length": 632.0}[labels["length"]] + rng.uniform(-10, 10)
    wide = {"straight": 78.0, "a-line": 112.0 + (hem - 505) * 0.2}[labels["fit_shape"]]
    share = SLEEVES[labels["sleeve_length"]]
    shoulder = 76.0 if share else 58.0
    if share:
        draw_sleeves(canvas, person, fabric, share, labels["sleeve_styling"], shoulder)
    neck = labels["neck"]
    hip = (74.0, 360.0) if labels["fit_shape"] == "straight" else (56 + wide * 0.2, 345.0)
    upper = trunk(neck, 58, hip, shoulder)[:-2]
    skirt = [(wide, hem), (wide * 0.5, hem + 8), (0, hem + 10)]
    half = np.vstack([upper, skirt])
    canvas.cloth(mirrored(half), fabric.cut, depth=0.45)
    _draw_kurti_details(canvas, labels, fabric, hem, wide, rng)
    draw_neck(canvas, neck, fabric, person.skin, rng)
    return canvas


def _draw_kurti_details(
    canvas: Canvas, labels: Labels, fabric: Fabric, hem: float, wide: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    seam = shade_of(fabric.base, 0.3)
    straight = labels["fit_shape"] == "straight"
    for side in (-1, 1):
        if straight:  # side slits
            slit = [(wide - 1, hem - 90), (wide - 9, hem + 4), (wide + 1, hem + 2)]
            canvas.fill(np.array(slit) * (side, 1), shade_of(fabric.base, 0.55))
        for start, end in ((12, 0.2), (30, 0.5), (48, 0.8)):
            foot = (side * wide * end, hem)
            strength = rng.uniform(0.1, 0.25) if straight else rng.uniform(0.25, 0.5)
            top = (side * start, 340 + rng.uniform(-70, 60))
            canvas.fold([top, foot], strength, 7)
    ornament = labels["ornamentation"]
    if ornament == "embroidery":
        _yoke(canvas, rng)
    elif ornament == "lace":
        x = np.linspace(-wide + 2, wide - 2, 23)
        low = hem + 8 - 8 * np.abs(x / wide) ** 2
        band = np.vstack([np.stack([x, low - 26], 1), np.stack([x, low], 1)[::-1]])
        lace = (250, 248, 240) if fabric.base[1] < 200 else (196, 160, 80)
        canvas.cloth(band, lace, depth=0.3)
        canvas.dots(np.stack([x, low], 1), 6.5, lace)
        canvas.dots(np.stack([x, low - 12], 1), 3.2, seam)
    elif ornament == "default":
        if rng.random() < 0.5:  # tassels from the neck
            for side, y in ((-1, 250.0), (1, 262.0)):
                canvas.line([(0, 158), (side * 9, y)], (236, 190, 70), 2.5)
                canvas.oval((side * 9, y + 8), 6, 11, (236, 190, 70))
        else:  # mirrors
            spots = [(x, y) for y in (190, 222, 254, 286) for x in (-24, 0, 24)]
            canvas.dots(spots, 7.0, (176, 134, 52))
            canvas.dots(spots, 4.6, (240, 246, 252))


def _yoke(canvas: Canvas, rng: np.random.Generator) -> None:
    gold, light = ((214, 168, 66), (248, 226, 160)) if rng.random() < 0.7 else (
        (226, 228, 234), (170, 60, 90))  # fmt: skip
    low = rng.uniform(240, 275)
    canvas.cloth(mirrored([(0, 150), (30, 142), (28, low - 16), (0, low)]), gold, depth=0.3)
    for y in np.arange(164.0, low - 18, 17).tolist():
        canvas.dots([(-16, y + 5), (0, y), (16, y + 5)], 4.2, light)
    canvas.line(mirrored([(0, 150), (30, 142), (28, low - 16), (0, low)]), light, 2.5)
