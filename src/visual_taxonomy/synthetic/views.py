"""The photographs of one drawn product: what each of them shows, and what it hides."""

from collections.abc import Mapping
from typing import NamedTuple


class View(NamedTuple):
    """How a product is photographed.

    Args:
        name: What the photograph shows.
        is_back: From behind: no face, no neckline, and nothing that is printed on or sewn to the
            front.
        top: Where the photograph begins, as a share of the height of the whole one.
        height: Share of that height that is seen.
    """

    name: str
    is_back: bool = False
    top: float = 0.0
    height: float = 1.0


WHOLE = View("whole")
"""The only photograph of a product that has one."""

VIEWS = (
    # Without the hem: how long a garment is, its back says alone.
    View("front", top=0.0, height=0.66),
    View("back", is_back=True),
    View("chest", top=0.2, height=0.3),
    View("hem", top=0.55, height=0.45),
)
"""Those of a product that has several, in this order."""

_ON_THE_FRONT = frozenset({"typography", "graphic", "funky print", "quirky"})
_SEEN_FROM_BEHIND = frozenset({"lace", "waist tie-ups", "knitted", "none", "no pocket"})


def seen(labels: Mapping[str, str], view: View) -> dict[str, str]:
    """The labels as a photograph shows them; what it hides looks as if it were not there.

    Example:
        >>> seen({"neck": "polo", "print_or_pattern_type": "graphic"}, VIEWS[1])
        {'neck': 'back', 'print_or_pattern_type': 'solid'}
    """
    shown = dict(labels)
    if not view.is_back:
        return shown
    for neck in {"neck", "neck_collar"} & set(shown):
        shown[neck] = "back"
    if shown.get("print_or_pattern_type") in _ON_THE_FRONT:
        shown["print_or_pattern_type"] = "solid"
    for name, none in (("ornamentation", "none"), ("surface_styling", "none")):
        if shown.get(name, none) not in _SEEN_FROM_BEHIND:
            shown[name] = none
    if "pocket" in shown:
        shown["pocket"] = "no pocket"
    return shown
