"""Draw one product picture from its labels."""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from visual_taxonomy.choice import find
from visual_taxonomy.synthetic.canvas import Canvas
from visual_taxonomy.synthetic.kurtis import draw_kurti
from visual_taxonomy.synthetic.photograph import photograph
from visual_taxonomy.synthetic.sarees import draw_saree
from visual_taxonomy.synthetic.tops import draw_men_tshirt, draw_women_top, draw_women_tshirt

Labels = Mapping[str, str]

_DRAWINGS: dict[str, Callable[[Labels, np.random.Generator, int], Canvas]] = {
    "Men Tshirts": draw_men_tshirt,
    "Sarees": draw_saree,
    "Kurtis": draw_kurti,
    "Women Tshirts": draw_women_tshirt,
    "Women Tops & Tunics": draw_women_top,
}


def draw_product(
    category: str, labels: Labels, rng: np.random.Generator, image_size: int = 160
) -> Image.Image:
    """Photograph a garment that shows its labels.

    Args:
        category: A category of `synthetic_taxonomy()`.
        labels: Attribute -> class, every attribute of the category.
        rng: Where all chance comes from: wearer, cut, cloth, backdrop, camera, light.
        image_size: Height in pixels; the width is three quarters of it.

    Returns:
        An RGB picture.

    Raises:
        InputError: There is no such category.

    Example:
        >>> labels = {"color": "red", "neck": "polo", "pattern": "solid", "pocket": "no pocket",
        ...           "print_or_pattern_type": "solid", "sleeve_length": "short sleeves"}
        >>> draw_product("Men Tshirts", labels, np.random.default_rng(0)).size
        (120, 160)
    """
    (camera,) = rng.spawn(1)  # whatever was drawn, the same backdrop, light and noise
    canvas = find(_DRAWINGS, category)(labels, rng, image_size)
    return photograph(canvas.finish(camera), camera)
