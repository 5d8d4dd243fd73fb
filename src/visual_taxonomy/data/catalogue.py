"""The columns of one file by their roles: id, category, image, text; others may hold labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from visual_taxonomy.catalogue import CatalogueConfig, columns_named
from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.named_columns import is_slot_column
from visual_taxonomy.errors import InputError, shown

ID, CATEGORY = "id", "Category"
"""What the columns are called inside, and in every file that is written."""


@dataclass(frozen=True)
class Roles:
    """Which columns of a file are what.

    Args:
        id_column: Of the ids.
        category_columns: Of the categories, joined with a space; none where all rows have one.
        category_name: The category of all rows where there is no column of categories.
        image_columns: Of the images or their paths; none where they are named by id.
        image_pattern: Of names with the id in it, for products of several images.
        text_columns: Of the words; "" for one of the training CSV that this file does not have.
    """

    id_column: str = ID
    category_columns: tuple[str, ...] = (CATEGORY,)
    category_name: str | None = None
    image_columns: tuple[str, ...] = ()
    image_pattern: str | None = None
    text_columns: tuple[str, ...] = ()

    @property
    def taken(self) -> frozenset[str]:
        """The columns that can hold no labels."""
        texts = (name for name in self.text_columns if name)
        return frozenset({self.id_column, *self.category_columns, *self.image_columns, *texts})

    @property
    def is_named(self) -> bool:
        """Whether any role is another than the usual."""
        return self != Roles()

    @property
    def is_usual(self) -> bool:
        """Whether ids and categories are where they are without a word."""
        return (self.id_column, self.category_columns) == (ID, (CATEGORY,))

    def sources(self, column: str) -> tuple[str, ...]:
        """What the file calls the columns that are one of this name inside."""
        return {ID: (self.id_column,), CATEGORY: self.category_columns}.get(column, (column,))

    def applied(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The columns with ids and categories under the names they have inside.

        Without those of images and words. A column that only happens to be called so gives way to
        the one with the role.
        """
        if self.is_usual:
            return frame.drop(self.taken - {ID, CATEGORY}, strict=False)
        kept = [name for name in frame.columns if name not in {ID, CATEGORY, *self.taken}]
        found = []
        if self.id_column in frame.columns:
            found.append(frame[self.id_column].alias(ID))
        if self.category_name is not None:
            found.append(pl.Series(CATEGORY, [self.category_name]).new_from_index(0, len(frame)))
        elif set(self.category_columns) <= set(frame.columns):
            found.append(_joined(frame, self.category_columns))
        return pl.DataFrame([*found, *frame.select(kept).get_columns()])


def settle_roles(
    path: Path,
    names: Sequence[str],
    given: CatalogueConfig,
    trained: CatalogueConfig | None = None,
) -> Roles:
    """The roles of a file's columns: those that are given; else those of the training CSV.

    A role of the training CSV counts only if the file has its columns: a file in the usual form
    can be read by any model.

    Args:
        path: The file, for messages.
        names: Of its columns.
        given: What flags and `catalogue.toml` say.
        trained: What a model remembers of its training CSV.

    Raises:
        InputError: A column that is given does not exist.
    """
    id_column = _find(path, names, "id_column", given.id_column)
    category = tuple(
        _find(path, names, "category_column", name) or "" for name in given.category_column or ()
    )
    category_name = given.category_name
    wanted = _images(given)
    images = tuple(_find(path, names, "image_column", name) or "" for name in wanted)
    pattern = given.image_pattern
    if trained is not None:
        if id_column is None and trained.id_column in names:
            id_column = trained.id_column
        if not category and category_name is None:
            if set(trained.category_column or ()) <= set(names):
                category = trained.category_column or ()
            # Categories that the file has itself come before the single one of the model.
            if CATEGORY not in names:
                category_name = trained.category_name
        if not images and pattern is None and set(_images(trained)) <= set(names):
            images, pattern = _images(trained), trained.image_pattern
    texts = _text_columns(path, names, given.text_columns, trained)
    if category_name is None and not category:
        category = (CATEGORY,)
    return Roles(id_column or ID, category, category_name, images, pattern, texts)


def _images(config: CatalogueConfig) -> tuple[str, ...]:
    return columns_named(config.image_column)


def _text_columns(
    path: Path,
    names: Sequence[str],
    given: Sequence[str] | None,
    trained: CatalogueConfig | None,
) -> tuple[str, ...]:
    """Those that are given, in the order of the training CSV; else those that it had."""
    if given is None:
        known = () if trained is None else trained.text_columns or ()
        return tuple(name if name in names else "" for name in known)
    found = tuple(_find(path, names, "text_columns", name) or "" for name in given)
    numbered = next(filter(is_slot_column, found), None)
    if numbered is not None:
        raise InputError(
            f"{path}: `text_columns`: '{numbered}' holds labels; a column has one role"
        )
    if trained is not None and len(found) != len(trained.text_columns or ()):
        raise InputError(
            f"{path}: `text_columns` names {len(found)} columns, but the model was trained with "
            f"{len(trained.text_columns or ())} ({', '.join(trained.text_columns or ('none',))}); "
            "name as many, in that order, or leave it out"
        )
    return found


def merge_labels(labels: pl.Series, classes: Mapping[str, Sequence[str]]) -> pl.Series:
    """The labels of a column, those read as another class replaced by it.

    Example:
        >>> merge_labels(pl.Series(["navy", "red"]), {"Navy Blue": ["navy"]}).to_list()
        ['Navy Blue', 'red']
    """
    names = {other.strip(): label for label, others in classes.items() for other in others}
    # All at once: what has been replaced is not looked up again.
    return labels.replace(list(names), list(names.values()))


def _find(path: Path, names: Sequence[str], role: str, wanted: str | None) -> str | None:
    if wanted is None:
        return None
    by_folded = {name.casefold(): name for name in names if name in _ANY_CASE}
    name = wanted.strip()
    found = name if name in names else by_folded.get(name.casefold())
    if found is None:
        raise InputError(f"{path}: `{role}`: {unknown_name(shown(wanted), names)}")
    return found


_ANY_CASE = ("id", "Category", "len", "split")
"""Columns whose names are read in any case."""


def _joined(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """The texts of the columns with a space between; empty where one of them is."""
    parts = [pl.col(name) for name in columns]
    is_whole = pl.all_horizontal(part != "" for part in parts)
    joined = pl.concat_str(parts, separator=" ")
    return (
        frame.select(pl.when(is_whole).then(joined).otherwise(pl.lit("")))
        .to_series()
        .alias(CATEGORY)
    )
