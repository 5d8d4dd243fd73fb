"""What the products of the drawn catalogue are: categories, labels with tails, holes, errors."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from statistics import NormalDist

import numpy as np

from visual_taxonomy.taxonomy import Task, Taxonomy

LABEL_NOISE = 0.02
"""Share of the labels in train.csv that name another class than the image shows."""

# How much holes gather on the same products: correlation of two attributes being unknown.
_HOLE_CORRELATION = 0.35

_GOLDEN = (5**0.5 - 1) / 2

# "Category: share of the catalogue", then "attribute | percent unknown | class weight, ...".
# The shape (uneven categories, tails, holes) is that of a real catalogue; the figures are ours.
_CATALOGUE = """
Men Tshirts: 12
color | 17 | default 24, white 20, black 17, navy blue 12, red 8, yellow 7, grey 7, multicolor 5
neck | 15 | round 47, polo 38, v-neck 10, henley 5
pattern | 20 | solid 52, printed 33, striped 15
print_or_pattern_type | 18 | solid 52, typography 20, graphic 8, stripes 15, default 5
sleeve_length | 18 | short sleeves 95, long sleeves 5
pocket | 41 | no pocket 90, patch pocket 10

Sarees: 24
color | 3 | multicolor 28, cream 24, default 20, white 13, pink 5, navy blue 4, green 3.5, \
yellow 2.5
border | 4 | zari 48, woven design 33, temple border 8, default 5, solid 4, no border 2
border_width | 13 | small border 60, big border 38, no border 2
pattern | 11 | zari woven 76, solid 9, woven design 8, default 5.5, printed 1.5
print_or_pattern_type | 22 | ethnic motif 27, peacock 23, floral 21, solid 9, elephant 7, \
default 5.5, checked 4, botanical 3.5
pallu_details | 51 | woven design 40, zari woven 32, same as saree 24, default 4
blouse_pattern | 57 | same as saree 63, same as border 21, default 12, solid 4
sleeve_length | 12 | short sleeves 82, three-quarter sleeves 12, sleeveless 6
ornamentation | 70 | none 81, tassels and latkans 9, sequins 6, default 4
transparency | 3 | no 84, yes 16

Kurtis: 11
color | 3 | black 22, red 20, maroon 15, navy blue 11, blue 7, yellow 6, multicolor 5, green 4, \
pink 4, purple 2.5, grey 2, white 1.2, orange 0.8
neck | 27 | round 54, v-neck 27, mandarin 19
fit_shape | 50 | a-line 64, straight 36
length | 49 | knee length 60, calf length 40
ornamentation | 52 | none 60, embroidery 25, lace 9, default 6
pattern | 43 | solid 52, printed 35, default 13
print_or_pattern_type | 44 | solid 52, floral 19, ethnic motif 10, default 13, checked 3.5, \
stripes 2.5
sleeve_length | 2 | three-quarter sleeves 79, short sleeves 10, long sleeves 8, sleeveless 3
sleeve_styling | 4 | regular 88, bell sleeves 9, sleeveless 3

Women Tshirts: 26
color | 8 | white 27, default 24, black 18, yellow 11, pink 9, multicolor 8, maroon 3
fit_shape | 21 | regular 85, loose 9, boxy 6
length | 12 | regular 51, crop 38, long 11
pattern | 14 | printed 86, default 8, solid 6
print_or_pattern_type | 9 | typography 34, funky print 25, quirky 14, graphic 13, default 8, solid 6
sleeve_length | 15 | short sleeves 84, long sleeves 10, default 6
sleeve_styling | 18 | regular sleeves 94, cuffed sleeves 6
surface_styling | 97 | none 80, default 16, applique 4

Women Tops & Tunics: 27
color | 26 | black 19, white 17, default 14, pink 11, blue 7, yellow 7, red 6, maroon 6, green 5, \
multicolor 3, navy blue 3, peach 2
neck_collar | 29 | round neck 50, high 14, square neck 9, v-neck 9, default 8, sweetheart neck 6, \
stylised 4
fit_shape | 30 | fitted 41, regular 36, boxy 15, default 8
length | 31 | regular 55, crop 43, long 2
pattern | 30 | solid 58, printed 34, default 8
print_or_pattern_type | 30 | solid 58, typography 13, floral 8, default 8, quirky 7, graphic 6
sleeve_length | 27 | short sleeves 53, long sleeves 26, three-quarter sleeves 13, sleeveless 8
sleeve_styling | 34 | regular sleeves 60, puff sleeves 22, default 10, sleeveless 8
surface_styling | 62 | none 50, knitted 24, default 8, ruffles 6, tie-ups 4.5, waist tie-ups 4.5, \
applique 4
"""


# Where `attribute` is `label`, `dependent` is `implied`, and nowhere else.
_IMPLIED = (
    ("pattern", "solid", "print_or_pattern_type", "solid"),
    ("pattern", "striped", "print_or_pattern_type", "stripes"),
    ("pattern", "default", "print_or_pattern_type", "default"),
    ("border", "no border", "border_width", "no border"),
    ("sleeve_length", "sleeveless", "sleeve_styling", "sleeveless"),
)
# Where `attribute` is `label`, `dependent` is `likely` in so many of the cases left to chance.
_LEANINGS = (
    ("neck", "polo", "pattern", "solid", 0.3),
    ("border", "zari", "pallu_details", "zari woven", 0.3),
    ("fit_shape", "loose", "length", "long", 0.3),
    ("length", "long", "fit_shape", "loose", 0.3),
    ("fit_shape", "fitted", "surface_styling", "knitted", 0.25),
)


@dataclass(frozen=True)
class _Head:
    """A task with the shape of its labels.

    Args:
        task: The task.
        weights: Class -> share, summing to 1.
        carelessness: A standard normal variable is below it in the share unknown of all cases.
    """

    task: Task
    weights: dict[str, float]
    carelessness: float


@cache
def _catalogue() -> dict[str, tuple[float, tuple[_Head, ...]]]:
    categories = {}
    for block in _CATALOGUE.strip().split("\n\n"):
        title, *lines = block.splitlines()
        category, share = title.rsplit(": ", 1)
        categories[category] = (float(share) / 100, tuple(_head(category, line) for line in lines))
    return categories


def _head(category: str, line: str) -> _Head:
    attribute, unknown, listed = line.split(" | ")
    pairs = [entry.rsplit(" ", 1) for entry in listed.split(", ")]
    total = sum(float(weight) for _, weight in pairs)
    weights = {label: float(weight) / total for label, weight in pairs}
    carelessness = NormalDist().inv_cdf(float(unknown) / 100)
    return _Head(Task(category, attribute, tuple(weights)), weights, carelessness)


def synthetic_taxonomy() -> Taxonomy:
    """The taxonomy of the drawn catalogue: five categories, 42 tasks, all of them visible.

    Example:
        >>> taxonomy = synthetic_taxonomy()
        >>> taxonomy.categories
        ('Men Tshirts', 'Sarees', 'Kurtis', 'Women Tshirts', 'Women Tops & Tunics')
        >>> taxonomy.task("Sarees", "border_width").classes
        ('small border', 'big border', 'no border')
    """
    return Taxonomy(tuple(head.task for _, heads in _catalogue().values() for head in heads))


def draw_labels(seed: int, row: int) -> tuple[str, dict[str, str]]:
    """Category and true labels of a row."""
    rng = np.random.default_rng((seed, row, 0))
    # steps of the golden ratio spread few rows over all categories as evenly as many rows
    point = (_first_point(seed) + row * _GOLDEN) % 1
    categories = _catalogue()
    shares = accumulate(share for share, _ in categories.values())
    chosen = sum(point >= share for share in list(shares)[:-1])
    category = list(categories)[chosen]
    heads = categories[category][1]
    labels: dict[str, str] = {}
    # Two numbers for each head, used or not: what one needs never shifts those of the next.
    for head, (lean, pick) in zip(heads, rng.random((len(heads), 2)).tolist(), strict=True):
        labels[head.task.attribute] = _label(head, labels, lean, pick)
    return category, labels


@lru_cache(maxsize=64)
def _first_point(seed: int) -> float:
    return float(np.random.default_rng(seed).random())


def _label(head: _Head, known: dict[str, str], lean: float, pick: float) -> str:
    """A class of a head, given the labels drawn before it and two numbers from 0 to 1."""
    excluded: set[str] = set()
    for driver, label, implied in _implied(head.task):
        if known[driver] == label:
            return implied
        # Without its reason, the implied class would contradict the other attribute.
        excluded.add(implied)
    for driver, label, dependent, likely, share in _LEANINGS:
        applies = dependent == head.task.attribute and known.get(driver) == label
        if applies and lean < share and {likely} <= set(head.task.classes) - excluded:
            return likely
    return _pick(head, excluded, pick)


@cache
def _implied(task: Task) -> tuple[tuple[str, str, str], ...]:
    """The rules of `_IMPLIED` for a task: attribute and label that imply which of its classes."""
    others = {h.task.attribute: h.task.classes for h in _catalogue()[task.category][1]}
    return tuple(
        (driver, label, implied)
        for driver, label, dependent, implied in _IMPLIED
        if dependent == task.attribute and implied in task.classes
        if label in others.get(driver, ())
    )


def _pick(head: _Head, excluded: Set[str], point: float) -> str:
    left = [label for label in head.weights if label not in excluded]
    ends = list(accumulate(head.weights[label] for label in left))
    return left[sum(point * ends[-1] >= end for end in ends[:-1])]


def as_catalogued(category: str, labels: dict[str, str], seed: int, row: int) -> dict[str, str]:
    """The labels as a seller fills them in: some wrong, some left out."""
    rng = np.random.default_rng((seed, row, 2))
    product = rng.standard_normal()
    written = {}
    for head in _catalogue()[category][1]:
        label = labels[head.task.attribute]
        # Drawn also for a hole, so that the attributes behind it do not depend on it.
        own, error, other = rng.standard_normal(), rng.random(), rng.random()
        # Standard normal again, and with this correlation between the attributes of a product.
        care = _HOLE_CORRELATION**0.5 * product + (1 - _HOLE_CORRELATION) ** 0.5 * own
        if care < head.carelessness:
            continue
        written[head.task.attribute] = _pick(head, {label}, other) if error < LABEL_NOISE else label
    return written
