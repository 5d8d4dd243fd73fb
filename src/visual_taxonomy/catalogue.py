"""Which column of a catalogue is what: as flags and `catalogue.toml` say it, and as models keep it.

A layer of its own below the settings of a run, because each command that reads a catalogue takes
these flags; `data/` reads files by them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import tyro

from visual_taxonomy.config_values import toml_values
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.typed_values import typed_fields

ONE_CATEGORY = "Products"
"""The category of all rows where there is no column of categories, and no name for them."""

Encoding = Literal["utf-8", "latin-1"]
Merged = dict[str, dict[str, tuple[str, ...]]]
"""Attribute column -> class -> labels that are read as this class."""
RareLabels = dict[str, dict[str, dict[str, tuple[str, ...]]]]
"""Attribute column -> category -> class, "" for unknown -> labels that are read as this class."""


@dataclass(frozen=True, kw_only=True)
class CatalogueConfig:
    """Which column of the CSV is what; by default its ids are in id, its categories in Category.

    What is None is open: `catalogue` says it, or a checkpoint that remembers its training CSV.

    Raises:
        InputError: A column has two roles, `category_column` and `category_name` exclude each
            other, or the file of `catalogue` cannot be used.

    Example:
        >>> CatalogueConfig(id_column="sku", image_column="sku")
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: `id_column` and `image_column` both name 'sku'; ...
    """

    catalogue: Path | None = None
    """TOML file of `vtax inspect` with the roles of the columns; flags override it."""
    id_column: str | None = None
    """Column with the ids; None: id."""
    category_column: tuple[str, ...] | None = None
    """Column with the categories; several are joined with a space. None: Category."""
    category_name: str | None = None
    """The one category of all rows, for a CSV without a column of categories."""
    image_column: str | tuple[str, ...] | None = None
    """Column (or several) with the images of a product: paths in --img_dir, more than one with ;
    between, or bytes in Parquet; None: images are named by id."""
    image_pattern: str | None = None
    """Names of the images in --img_dir for products with several, such as '{id}_*.jpg'."""
    text_columns: tuple[str, ...] | None = None
    """Columns of words (title, brand) that labels are predicted from beside the image."""
    csv_encoding: Encoding | None = None
    """Encoding of the CSV; None: utf-8."""
    merged_labels: tyro.conf.Suppress[Merged | None] = None
    """[merged_labels.COLUMN] of `catalogue`: class -> labels that are read as this class."""
    min_rows: tyro.conf.Suppress[int | None] = None
    """Of `catalogue`: labels of fewer rows of a category are unknown, or `rare_class`."""
    rare_class: tyro.conf.Suppress[str | None] = None
    """Of `catalogue`: what labels of fewer rows than `min_rows` are read as."""
    rare_labels: tyro.conf.Suppress[RareLabels | None] = None
    """What `min_rows` came to in the training CSV; other files are read alike."""

    def __post_init__(self) -> None:
        if self.catalogue is not None:
            self._take(read_catalogue(self.catalogue))
        # An empty list says that no column holds categories.
        if self.category_column is not None and not self.category_column:
            self._set("category_name", self.category_name or ONE_CATEGORY)
            self._set("category_column", None)
        if isinstance(self.image_column, tuple):
            several = self.image_column
            self._set("image_column", several if len(several) > 1 else (*several, None)[0])
        if self.image_column and self.image_pattern is not None:
            raise InputError(
                "`image_column` and `image_pattern` exclude each other: images are named by "
                "columns or by their ids; give one of them"
            )
        if self.category_column and self.category_name is not None:
            raise InputError(
                "`category_column` and `category_name` exclude each other: categories come from "
                "columns, or all rows have one; give one of them"
            )
        if self.category_name is not None and not self.category_name.strip():
            raise InputError("`category_name` is empty; name the category of the products")
        self._check_rare()
        roles = self._roles()
        for i, (role, column) in enumerate(roles):
            for other, taken in roles[:i]:
                if taken == column:
                    raise InputError(
                        f"`{other}` and `{role}` both name '{shown(column)}'; a column has one role"
                    )

    def _check_rare(self) -> None:
        if self.min_rows is not None and self.min_rows < 1:
            raise InputError(f"`min_rows` must be 1 or more, not {self.min_rows}")
        if self.rare_class is None:
            return
        if self.min_rows is None:
            raise InputError("`rare_class` needs `min_rows`, the rows below which a label is rare")
        if not self.rare_class.strip():
            raise InputError(
                "`rare_class` is empty; name the class of rare labels, or leave it out: then they "
                "are unknown"
            )

    def _roles(self) -> list[tuple[str, str]]:
        """(role, column) of all that is said, the attributes' too where there are any."""
        roles = [("id_column", self.id_column)] if self.id_column else []
        roles += [("category_column", name) for name in self.category_column or ()]
        roles += [("image_column", name) for name in columns_named(self.image_column)]
        roles += [("text_columns", name) for name in self.text_columns or ()]
        # A field of subclasses only.
        attributes = getattr(self, "attribute_columns", None)
        return roles + [("attribute_columns", name) for name in attributes or ()]

    def _take(self, file: "CatalogueFile") -> None:
        """Fill in what no flag says; afterwards the file is not needed, nor its later changes."""
        has_category = self.category_column is not None or self.category_name is not None
        has_images = self.image_column is not None or self.image_pattern is not None
        for entry in fields(file):
            # What this class has no field for counts as said: a command without attributes skips
            # them.
            is_open = not getattr(self, entry.name, True)
            # Column and name exclude each other, so a flag for either silences both of the file.
            if entry.name.startswith("category_"):
                is_open = not has_category
            if entry.name.startswith("image_"):
                is_open = not has_images
            if is_open:
                self._set(entry.name, getattr(file, entry.name))
        self._set("catalogue", None)

    def _set(self, name: str, value: object) -> None:
        # Frozen for all others; here only while it is being made.
        object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class CatalogueFile:
    """What `catalogue.toml` may say; as in `CatalogueConfig`."""

    id_column: str | None = None
    category_column: tuple[str, ...] | None = None
    category_name: str | None = None
    image_column: str | tuple[str, ...] | None = None
    image_pattern: str | None = None
    text_columns: tuple[str, ...] | None = None
    attribute_columns: tuple[str, ...] | None = None
    csv_encoding: Encoding | None = None
    merged_labels: Merged | None = None
    min_rows: int | None = None
    rare_class: str | None = None


def columns_named(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The columns of a role that one or several may have.

    Example:
        >>> columns_named("front"), columns_named(("front", "back")), columns_named(None)
        (('front',), ('front', 'back'), ())
    """
    return (given,) if isinstance(given, str) else given or ()


# Not the encoding: that of one file says nothing of the next.
_REMEMBERED = (
    *("id_column", "category_column", "category_name", "image_column", "image_pattern"),
    *("text_columns", "merged_labels", "rare_labels"),
)


def columns_of(config: CatalogueConfig) -> CatalogueConfig:
    """What a model keeps of the settings of its training CSV."""
    return CatalogueConfig(**{name: getattr(config, name) for name in _REMEMBERED})


def remembered(config: CatalogueConfig) -> dict[str, Any]:
    """What a model keeps of the columns of its training CSV, as plain values; {} by default.

    Example:
        >>> remembered(CatalogueConfig(id_column="sku", category_column=("gender", "type")))
        {'id_column': 'sku', 'category_column': ['gender', 'type']}
    """
    said = {name: getattr(config, name) for name in _REMEMBERED}
    return {name: _plain(value) for name, value in said.items() if value}


def _plain(value: object) -> object:
    """Lists for tuples, in tables too: checkpoints and JSON hold no tuples."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def from_remembered(values: Mapping[str, Any], source: str) -> CatalogueConfig:
    """The inverse of `remembered`.

    Raises:
        InputError: It is not what `remembered` gives; `source` names the place.
    """
    return CatalogueConfig(**typed_fields(CatalogueConfig, values, f"{source}, columns"))


def read_catalogue(path: Path) -> CatalogueFile:
    """Read a file of `vtax inspect`, edited by hand or not.

    Raises:
        InputError: It is missing, is not TOML, has a key that does not exist or a value of
            another type, or two roles for one column.
    """
    file = CatalogueFile(**typed_fields(CatalogueFile, toml_values(path), str(path)))
    try:
        values = asdict(file)
        values.pop("attribute_columns")
        # Made for its checks alone; attributes are left out because it has no field for them.
        CatalogueConfig(**values)
        for column, classes in (file.merged_labels or {}).items():
            _check_merged(column, classes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return file


def _check_merged(column: str, classes: Mapping[str, tuple[str, ...]]) -> None:
    seen: dict[str, str] = {}
    for label, others in classes.items():
        for other in others:
            if other in seen or (other in classes and other != label):
                raise InputError(
                    f"[merged_labels.{shown(column)}]: '{shown(other)}' stands in two classes; "
                    "each label is read as one class"
                )
            seen[other] = label
