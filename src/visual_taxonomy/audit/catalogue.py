"""The label file that is corrected: where each label stands, and what it is."""

from pathlib import Path

import numpy as np

from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.named_columns import is_json_lines, is_parquet
from visual_taxonomy.data.product_ids import read_ids
from visual_taxonomy.errors import InputError
from visual_taxonomy.taxonomy import Taxonomy


class Catalogue:
    """The cells of a label file by product and column.

    Args:
        path: CSV.
        taxonomy: Its categories, attributes and classes.
        reading: As it is read for training.

    Raises:
        InputError: The file cannot be read, is Parquet, or has a category that is not in the
            taxonomy; the taxonomy has a class that its cells cannot name.
    """

    def __init__(self, path: Path, taxonomy: Taxonomy, reading: LabelReading) -> None:
        # New labels are written in UTF-8, which would be garbled between cells in latin-1.
        if is_parquet(path) or is_json_lines(path) or reading.csv_encoding == "latin-1":
            kind = "a Parquet file" if is_parquet(path) else "no CSV in UTF-8"
            raise InputError(
                f"{path}: is {kind}; corrections are written into a copy of a CSV file, so "
                "save it as CSV first"
            )
        # A class of such a name would be written as a label and read back as unknown.
        taxonomy.check_missing_values(reading.missing_values)
        self.path, self.taxonomy, self.reading = path, taxonomy, reading
        self.file = LabelFile(path, reading)
        self.rows = {product: row for row, product in enumerate(read_ids(self.file))}
        self._categories = self.file.column("Category")
        wrong = np.flatnonzero(~self._categories.is_in(list(taxonomy.categories)).to_numpy())
        if len(wrong):
            problem = unknown_name(self._categories[int(wrong[0])], taxonomy.categories)
            raise self.file.error(wrong, "Category", f"{problem} Correct it, or name the run")

    def category(self, product: str) -> str:
        """The category of a product that is there."""
        return str(self._categories[self.rows[product]])

    def column(self, category: str, attribute: str) -> str:
        """The column that holds an attribute: attr_1, attr_2, ..., or the one called like it."""
        if not self.file.slot_columns:
            return attribute
        return f"attr_{self.taxonomy.attributes(category).index(attribute) + 1}"

    def label(self, product: str, column: str) -> str:
        """What stands there, "" for unknown.

        Raises:
            InputError: There is no such column.
        """
        return str(self.file.column(column)[self.rows[product]])
