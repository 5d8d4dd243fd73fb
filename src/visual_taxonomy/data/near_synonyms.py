"""Labels of one attribute that may mean the same."""

import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher

_ALIKE = 0.85
"""Share of equal letters. At 0.75 ("Grey", "Gray") half of all short words are alike; above 0.9 a
letter too many in a word of six goes unseen."""

_MOST_COMPARED = 300
"""Labels that are compared with each other, the most frequent; 300 take a tenth of a second."""

_MOST_LETTERS = 100
"""Of a label that is compared; two of a megabyte would take hours."""


def near_synonyms(counts: Mapping[str, int]) -> list[tuple[str, tuple[str, ...]]]:
    """Groups of labels, each a label and those that may mean the same, the most frequent first.

    Alike are labels that differ in case, accents, spaces or signs only; that begin with the same
    words ("Navy", "Navy Blue"); or that differ in a letter or so.

    Args:
        counts: Label -> rows.

    Example:
        >>> near_synonyms({"Navy Blue": 90, "navy": 4, "navy-blue": 2, "Red": 30, "Blue": 50})
        [('Navy Blue', ('navy', 'navy-blue'))]
    """
    short = [label for label in counts if len(label) <= _MOST_LETTERS]
    by_count = sorted(short, key=lambda label: (-counts[label], label))[:_MOST_COMPARED]
    words = {label: _words(label) for label in by_count}
    groups: dict[str, list[str]] = {}
    for label in by_count:
        # Compared with the first of each group only, or small differences would join up to chains.
        first = next((each for each in groups if _is_alike(words[each], words[label])), label)
        groups.setdefault(first, []).append(label)
    return [(first, tuple(group[1:])) for first, group in groups.items() if len(group) > 1]


def _words(label: str) -> tuple[str, ...]:
    # Decomposed: accents become characters of their own, which are left out below.
    plain = unicodedata.normalize("NFKD", label.casefold())
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return tuple(kept.split())


def _is_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter, longer = sorted((one, other), key=len)
    if not shorter or "".join(one) == "".join(other):
        return bool(shorter)
    if longer[: len(shorter)] == shorter:
        return True
    if any(character.isdigit() for word in (*one, *other) for character in word):
        return False  # 38 and 39 differ in one letter, too
    matcher = SequenceMatcher(None, " ".join(one), " ".join(other), autojunk=False)
    # The quick one is an upper bound of the other, which is slow, and rules most pairs out.
    return matcher.real_quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE
