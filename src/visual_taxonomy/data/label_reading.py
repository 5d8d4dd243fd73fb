"""How cells are read: which texts mean an unknown label, and which columns hold labels."""

from dataclasses import dataclass, fields
from typing import Literal

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.taxonomy import MISSING_VALUES

UnknownLabels = Literal["error", "wrong", "ignore"]
"""What to do with a label that is not a class of its attribute; see `read_table`."""


@dataclass(frozen=True)
class LabelReading(CatalogueConfig):
    """How the cells of the CSV are read.

    Example:
        >>> LabelReading(missing_values=("?", " - ")).missing_values
        ('?', '-')
    """

    missing_values: tuple[str, ...] = MISSING_VALUES
    """Cell texts that mean an unknown label (case-sensitive); empty cells always do."""
    attribute_columns: tuple[str, ...] | None = None
    """Columns that hold labels; None: attr_1, attr_2, ..., or else all but free text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Cells are stripped before they are compared, so a marker with spaces would never match.
        object.__setattr__(self, "missing_values", tuple(v.strip() for v in self.missing_values))


def reading_of(config: CatalogueConfig) -> LabelReading:
    """How a config that has these settings among others says that cells are read.

    Example:
        >>> reading_of(CatalogueConfig(id_column="sku")).id_column
        'sku'
    """
    names = [entry.name for entry in fields(LabelReading)]
    return LabelReading(**{name: getattr(config, name) for name in names if hasattr(config, name)})
