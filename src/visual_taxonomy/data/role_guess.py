"""Guess which column of an export is what, from names and values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from visual_taxonomy.data.category_column import are_categories
from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.data.label_candidates import is_text
from visual_taxonomy.data.named_columns import is_slot_column

_IDS = ("id", "sku", "productid", "itemid", "articleid", "styleid", "code", "uid", "asin", "ean")
_IMAGES = ("image", "img", "imagepath", "imagefile", "filename", "file", "path", "picture", "photo")
_KINDS = (
    *("category", "productcategory", "producttype", "articletype", "itemtype", "garmenttype"),
    *("subcategory", "type", "kind", "class", "department", "mastercategory"),
)
"""Names of columns of categories, the likelier first; those of rank by how fine they are."""
_AUDIENCES = ("gender", "sex", "audience", "targetgroup", "agegroup")
"""What parts a category into two with attributes of their own: a woman's top is not a man's."""

_ROWS_OF_CATEGORY = 20
"""A finer column than this, rows a category, would leave heads with too little to learn from."""

_SAMPLE = 10_000
"""Rows that are looked at for suffixes of images; a column is either of paths or is not."""


@dataclass(frozen=True)
class Guess:
    """What a column of a file may be; None or empty where nothing fits."""

    id_column: str | None = None
    image_column: str | None = None
    category_column: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()


def guess_roles(frame: pl.DataFrame) -> Guess:
    """Guess ids, images, categories and words.

    The id is a column of a usual name, or else the first, with a value of its own in each row.
    The image is a column whose values end like image files, or of a usual name. The category is
    the finest of the columns of a usual name with 20 rows a value, behind one for the audience
    (gender) unless that follows from it. Words are columns in which most values are texts of two
    words or more and most rows have one of their own.

    Args:
        frame: Columns of text, "" where unknown.

    Example:
        >>> table = {"sku": ["a1", "a2"], "photo": ["1.jpg", "2.jpg"], "type": ["Tops", "Tops"]}
        >>> guess_roles(pl.DataFrame(table))
        Guess(id_column='sku', image_column='photo', category_column=('type',), text_columns=())
    """
    # Backwards: of two names that fold alike, the one that stands first in the file stays.
    folded = {_folded(name): name for name in reversed(frame.columns)}
    image = _guess_image(frame, folded)
    rest = [name for name in frame.columns if name != image]
    product = _guess_id(frame.select(rest), folded)
    rest = [name for name in rest if name != product]
    category = _guess_category(frame.select(rest))
    rest = [name for name in rest if name not in category and not is_slot_column(name)]
    return Guess(product, image, category, tuple(n for n in rest if _is_words(frame[n])))


def _is_words(cells: pl.Series) -> bool:
    cells = cells.filter(cells != "")
    # Two words, each with two letters: dates and sizes have white space, too.
    are_words = cells.str.count_matches(r"\p{L}{2,}") >= 2
    return is_text(cells.n_unique(), len(cells)) and 2 * int(are_words.sum()) > len(cells)


def _folded(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _named(folded: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [folded[name] for name in names if name in folded]


def _guess_image(frame: pl.DataFrame, folded: Mapping[str, str]) -> str | None:
    head = frame.head(_SAMPLE)
    for name in frame.columns:
        cells = head[name].filter(head[name] != "").str.to_lowercase()
        endings = [cells.str.ends_with(suffix) for suffix in IMAGE_SUFFIXES]
        shares = sum(int(each.sum()) for each in endings)
        if len(cells) and 10 * shares >= 9 * len(cells):
            return name
    # A column called "image" may hold a count or a yes; a path has a slash or a dot.
    texts = (name for name in _named(folded, _IMAGES) if head[name].str.contains("[/.]").any())
    return next(texts, None)


def _guess_id(frame: pl.DataFrame, folded: Mapping[str, str]) -> str | None:
    usual = [name for name in _named(folded, _IDS) if name in frame.columns]
    for name in dict.fromkeys([*usual, *frame.columns[:1]]):
        if (frame[name] != "").all() and frame[name].n_unique() == len(frame):
            return name
    return usual[0] if usual else None


def _guess_category(frame: pl.DataFrame) -> tuple[str, ...]:
    found = {}
    for name in frame.columns:
        # Every product needs a category, so a column with holes is none.
        if _folded(name) in _KINDS and (frame[name] != "").all():
            count = frame[name].n_unique()
            if are_categories(count, len(frame)):
                found[name] = count
    if not found:
        return ()
    exact = [name for name in found if name == "Category"]
    # If all are too fine for their rows, the coarsest of them.
    fine = [name for name, n in found.items() if len(frame) >= _ROWS_OF_CATEGORY * n] or [
        min(found, key=lambda name: found[name])
    ]
    kind = exact[0] if exact else max(fine, key=lambda name: (found[name], -_rank(name)))
    audience = next((name for name in frame.columns if _folded(name) in _AUDIENCES), None)
    if audience is None or exact or (frame[audience] == "").any():
        return (kind,)
    together = frame.select(pl.struct(audience, kind).n_unique()).item()
    # As many pairs as kinds: the audience follows from the kind, and would only lengthen names.
    is_of_kind = together == found[kind] or frame[audience].n_unique() == 1
    return (kind,) if is_of_kind else (audience, kind)


def _rank(name: str) -> int:
    return _KINDS.index(_folded(name))
