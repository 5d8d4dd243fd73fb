"""The rows of a catalogue: read from its file, and all checked before anything starts.

Shapes: N rows, K categories, A slots (the most attributes any category has), C classes.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from visual_taxonomy.catalogue import CatalogueConfig
from visual_taxonomy.choice import unknown_name
from visual_taxonomy.data.attributes import LabelColumns, read_attributes
from visual_taxonomy.data.category_column import (
    category_names,
    check_are_categories,
    read_categories,
)
from visual_taxonomy.data.image_list import ImageList
from visual_taxonomy.data.images import ImageSource
from visual_taxonomy.data.label_cells import columns_of_slots, note_markers, read_labels
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading, UnknownLabels
from visual_taxonomy.data.named_columns import is_slot_column
from visual_taxonomy.data.packed_images import PackedImages
from visual_taxonomy.data.product_ids import read_ids
from visual_taxonomy.data.row_images import MissingImages, find_images
from visual_taxonomy.data.texts import read_texts
from visual_taxonomy.data.unseen_labels import find_unseen, note_unseen, with_unseen
from visual_taxonomy.data.views import images_of, products_of, starts_of
from visual_taxonomy.errors import InputError, shown
from visual_taxonomy.taxonomy import UNKNOWN, Taxonomy


@dataclass(frozen=True, eq=False)
class Table:
    """Products with their categories, labels and images; plain arrays, cheap to send to workers.

    Args:
        taxonomy: What the numbers below mean.
        ids: [N] str.
        categories: [N] int64 index of the category.
        targets: [N, A] int64 index of the class, slots in the order of `taxonomy.slots`;
            -1 where it is unknown or the category has no such slot.
        image_names: [V] str names of the files in `img_dir`, or of packed images.
        img_dir: The folder of the images; None where the file holds them.
        columns: The column names of the file, as `LabelFile` gives them.
        packed: The images that stand in the file itself; see `ImageList`.
        starts: [N + 1] first image of each row, where rows have several; None: each has one.
        texts: [N, X] str words of the X text columns, "" for none; None where there is no such
            column.
    """

    taxonomy: Taxonomy
    ids: np.ndarray
    categories: np.ndarray
    targets: np.ndarray
    image_names: np.ndarray
    img_dir: Path | None
    columns: tuple[str, ...] = ()
    packed: Mapping[str, PackedImages] = field(default_factory=dict)
    starts: np.ndarray | None = None
    texts: np.ndarray | None = None

    def __len__(self) -> int:
        """N, the number of rows."""
        return len(self.ids)

    @property
    def named_columns(self) -> tuple[str, ...]:
        """The label columns that are named by attributes; none if they are attr_1, attr_2, ..."""
        # Where there are columns attr_k, labels are read from these alone, whatever others are
        # called.
        if any(map(is_slot_column, self.columns)):
            return ()
        attributes = {task.attribute for task in self.taxonomy.tasks} - {"id", "Category", "len"}
        return tuple(name for name in self.columns if name in attributes)

    @property
    def images(self) -> ImageList:
        """The images, wherever they are."""
        return ImageList(self.image_names, self.img_dir, self.packed)

    def path(self, row: int) -> Path:
        """The file of a row's image, in a table whose images are files."""
        return (self.img_dir or Path()) / str(self.image_names[self.numbers(row)[0]])

    def image(self, row: int) -> ImageSource:
        """The image of a row, of several the first: its file or its content."""
        return self.images[self.numbers(row)[0]]

    def numbers(self, row: int) -> range:
        """The numbers in `images` of the images of a row."""
        if self.starts is None:
            return range(row, row + 1)
        return range(*self.starts[row : row + 2].tolist())

    def row_of(self, number: int) -> int:
        """The row that an image is of."""
        if self.starts is None:
            return number
        return int(np.searchsorted(self.starts, number, side="right")) - 1

    def by_image(self) -> "Table":
        """A row for each image; the same table where each row has one."""
        if self.starts is None:
            return self
        rows = products_of(self.starts)
        return replace(
            self,
            ids=self.ids[rows],
            categories=self.categories[rows],
            targets=self.targets[rows],
            starts=None,
            texts=None if self.texts is None else self.texts[rows],
        )

    def take(self, rows: np.ndarray) -> "Table":
        """The table of some rows, given by their numbers or by a mask [N]."""
        names, starts = self.image_names, self.starts
        if starts is None:
            names = names[rows]
        else:
            products = np.arange(len(self))[rows]
            names = names[images_of(starts, products)]
            starts = starts_of(np.diff(starts)[products])
        return replace(
            self,
            ids=self.ids[rows],
            categories=self.categories[rows],
            targets=self.targets[rows],
            image_names=names,
            starts=starts,
            texts=None if self.texts is None else self.texts[rows],
        )

    def class_counts(self, task_index: int) -> np.ndarray:
        """[C] int64 labelled rows of each class of a task."""
        task = self.taxonomy.tasks[task_index]
        category = self.taxonomy.category_index(task.category)
        slot = self.taxonomy.slots[category].index(task_index)
        # The same slot of another category is another task, so the rows of one category are taken
        # first.
        labels = self.targets[self.categories == category, slot]
        return np.bincount(labels[labels != UNKNOWN], minlength=len(task.classes))


def read_table(
    csv_path: Path,
    img_dir: Path | None,
    taxonomy: Taxonomy,
    labelled: bool = True,
    missing_images: MissingImages = "error",
    reading: LabelReading | None = None,
    unknown_labels: UnknownLabels = "error",
    on_note: Callable[[str], None] = lambda note: None,
    trained: CatalogueConfig | None = None,
    absent_columns: Literal["error", "ignore"] = "error",
) -> Table:
    """Read a catalogue and check every row.

    The columns are `id`, `Category`, the labels, and if wanted `len` (how many attributes the
    category has); `reading` may name others. Labels stand in `attr_1`, `attr_2`, ... (in the
    order of the category's attributes), or in columns named like the attributes. An empty cell
    means unknown, and so does one of `reading.missing_values`; a column that is none of the
    category's attributes must be empty or `dummy_value`.

    Args:
        csv_path: CSV in UTF-8, Parquet or JSON lines.
        img_dir: Folder of the images; see `ImageFolder` for their names by id, `ImagePaths` for
            paths in a column. None for a file that holds them.
        taxonomy: Categories, attributes and classes.
        labelled: Read the labels; otherwise all targets are unknown.
        missing_images: "error", or "keep" rows without an image under the name it should have.
        reading: Which texts mean unknown, which columns hold labels, and which is what.
        unknown_labels: What becomes of labels that the taxonomy does not have. "error" refuses
            them; "ignore" takes them for unknown; "wrong" adds them to the classes of the
            table's taxonomy, behind those that a model knows and can predict: each is then a
            class with rows and no correct prediction, as in scikit-learn's f1_score of the texts.
        on_note: Called with what a person should know of the file and its labels.
        trained: Which column was what in the training CSV of a model; see `settle_roles`.
        absent_columns: What becomes of attributes without a column: "error", or "ignore" for
            labels that are all unknown.

    Raises:
        InputError: Anything is wrong; file, row, column, value and remedy are named.
    """
    reading = reading or LabelReading()
    file = LabelFile(csv_path, reading, trained)
    for note in file.notes:
        on_note(note)
    file.check_agreement(["Category"])
    ids = read_ids(file)
    categories = read_categories(file, taxonomy)
    texts = read_texts(file, taxonomy, on_note)
    _check_lengths(file, taxonomy, categories)
    targets = np.full((len(file), taxonomy.num_slots), UNKNOWN, dtype=np.int64)
    if labelled:
        # A class that is called like a marker would be read as unknown in every row, without a
        # word.
        taxonomy.check_missing_values(reading.missing_values)
        columns = columns_of_slots(file, taxonomy, categories, absent_columns == "error")
        file.check_agreement(columns)
        if unknown_labels != "error":
            unseen = find_unseen(LabelColumns(file), taxonomy, columns)
            note_unseen(unseen, unknown_labels, on_note)
            taxonomy = with_unseen(taxonomy, unseen) if unknown_labels == "wrong" else taxonomy
        for column, slots in columns.items():
            read_labels(file, taxonomy, categories, column, slots, targets, unknown_labels)
        note_markers(file, list(columns), on_note)
    images = find_images(file, ids, img_dir, missing_images, on_note)
    return Table(
        *(taxonomy, np.array(ids), categories, targets, images.names, img_dir),
        columns=tuple(file.columns),
        texts=texts,
        packed=images.packed,
        starts=images.starts,
    )


def _check_lengths(file: LabelFile, taxonomy: Taxonomy, categories: np.ndarray) -> None:
    if "len" not in file.columns:
        return
    given = file.column("len")
    # As numbers, because spreadsheets write 3 as 3.0.
    numbers = given.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    expected = np.array([len(slots) for slots in taxonomy.slots])[categories]
    # An empty cell says nothing; a text that is no number is NaN, which differs from every length.
    wrong = np.flatnonzero((numbers != expected) & (given != "").to_numpy())
    if len(wrong):
        category = taxonomy.categories[categories[wrong[0]]]
        raise file.error(
            wrong,
            "len",
            f"'{shown(given[int(wrong[0])])}', but {category} has {expected[wrong[0]]} attributes; "
            "correct it, remove the column, or use the taxonomy that belongs to this file",
        )


def build_taxonomy(
    csv_path: Path, parq_path: Path | None = None, reading: LabelReading | None = None
) -> Taxonomy:
    """The taxonomy of a labelled catalogue; the classes are its distinct labels, sorted.

    Args:
        csv_path: The catalogue, as for `read_table`.
        parq_path: Parquet with `Category` and `Attribute_list`, the names of the attributes.
            Without it they are the names of the label columns: those in which the category has
            a label, or, where these are attr_1, attr_2, ..., as many as `len` says. A column with
            more than 30 values, most rows another one, is left out unless `reading` names it.
        reading: Which texts mean unknown, and which columns hold labels.

    Warns:
        UserWarning: An attribute has no label; it gets the one class "default", so that the
            others keep their places. A column of text is left out.

    Raises:
        InputError: A file cannot be used; a category has no attribute, or is not in the Parquet.
    """
    reading = reading or LabelReading()
    file = LabelFile(csv_path, reading)
    categories = category_names(file)
    # Sorted, because the order of the taxonomy is that of the weights in a checkpoint.
    present = sorted(categories.unique().to_list())
    check_are_categories(file, categories, len(present))
    columns = LabelColumns(file, chosen=reading.attribute_columns is not None)
    if parq_path is not None:
        # Categories of the Parquet without a row stay in; their attributes get the class "default".
        attributes = read_attributes(parq_path)
        unknown = np.flatnonzero(~categories.is_in(list(attributes)).to_numpy())
        if len(unknown):
            problem = unknown_name(categories[int(unknown[0])], attributes)
            raise file.error(unknown, "Category", f"{problem} Correct it, or add it to {parq_path}")
    else:
        attributes = {name: columns.attributes(name) for name in present}
    mapping = {name: _classes(columns, name, each) for name, each in attributes.items()}
    unlabelled = [
        f"{category}/{attribute}"
        for category, each in mapping.items()
        for attribute in each
        if not each[attribute]
    ]
    if unlabelled:
        names = ", ".join(unlabelled)
        warnings.warn(
            f"{csv_path}: no label in {names}; their only class is 'default'", stacklevel=2
        )
    # A head needs a class; with a single one it has nothing to learn and answers it always.
    filled = {
        category: {attribute: classes or ["default"] for attribute, classes in each.items()}
        for category, each in mapping.items()
    }
    try:
        return Taxonomy.from_dict(filled)
    except InputError as error:
        raise InputError(f"{csv_path}: {error}") from None


def _classes(
    columns: LabelColumns, category: str, attributes: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    numbered = bool(columns.file.slot_columns)
    # By place: the first name of the list belongs to attr_1, whatever the attribute is called.
    names = [f"attr_{k + 1}" if numbered else name for k, name in enumerate(attributes)]
    return {
        attribute: columns.classes(category, column)
        for attribute, column in zip(attributes, names, strict=True)
    }
