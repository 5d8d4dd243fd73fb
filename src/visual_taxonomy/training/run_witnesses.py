"""What speaks of the rows of a run beside the images: their words, and the labels they have.

Shapes: N validation rows.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from visual_taxonomy.atomic import write_text
from visual_taxonomy.data.table import Table
from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.witnesses.combination import (
    COMBINATIONS,
    KNOWN_LABELS,
    NAMES,
    WORDS,
    Witnesses,
)
from visual_taxonomy.witnesses.combining import fit_witnesses
from visual_taxonomy.witnesses.known_labels import KnownLabels
from visual_taxonomy.witnesses.words import Words

LOUDEST_NAME = "words.csv"
"""The file in a run folder that says which n-grams speak for each class."""


class RunWitnesses:
    """Models on words and on known labels, fitted on the training rows once they are asked for.

    Args:
        training: The rows to fit on.
        validation: N rows to be heard on.
        text_columns: Names of the columns of `training.texts`.
    """

    def __init__(self, training: Table, validation: Table, text_columns: Sequence[str]) -> None:
        self._training, self._validation = training, validation
        self._columns = tuple(text_columns)

    @property
    def has_texts(self) -> bool:
        """Whether the rows have text columns."""
        return self._training.texts is not None

    @cached_property
    def words(self) -> Words | None:
        """None without text columns, or where no row has words."""
        # Here, because scikit-learn takes a second to import.
        from visual_taxonomy.witnesses.word_fitting import fit_words

        rows = self._training
        if rows.texts is None:
            return None
        return fit_words(rows.taxonomy, self._columns, rows.texts, rows.categories, rows.targets)

    @cached_property
    def known_labels(self) -> KnownLabels:
        """Of the other labels of a row."""
        from visual_taxonomy.witnesses.known_label_fitting import fit_known_labels

        rows = self._training
        return fit_known_labels(rows.taxonomy, rows.categories, rows.targets)

    def heard_on(self, held_out: HeldOut) -> HeldOut:
        """The validation rows, with what is said of them."""
        rows = self._validation
        assert np.array_equal(rows.ids, held_out.ids)
        said = {KNOWN_LABELS: self.known_labels.probabilities(rows.targets, rows.categories)}
        if self.words is not None and rows.texts is not None:
            said[WORDS] = self.words.probabilities(rows.texts, rows.categories)
        return replace(held_out, witnesses={NAMES[bit]: each for bit, each in said.items()})

    def fit(
        self, held_out: HeldOut, source: str, combinations: Sequence[int] = COMBINATIONS
    ) -> Witnesses:
        """How they answer together with the image, fitted on rows of `heard_on`."""
        uses_labels = any(each & KNOWN_LABELS for each in combinations)
        known = self.known_labels if uses_labels else None
        return fit_witnesses(held_out, self.words, known, source, combinations)


def write_loudest(path: Path, words: Words) -> None:
    """Write what speaks loudest for each class: category, attribute, class, loudest.

    Raises:
        InputError: The disk is full.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["category", "attribute", "class", "loudest"])
    taxonomy = words.heads.taxonomy
    for category, slots in enumerate(taxonomy.slots):
        for slot, index in enumerate(slots):
            task = taxonomy.tasks[index]
            for name, loudest in zip(task.classes, words.loudest(category, slot), strict=True):
                writer.writerow([task.category, task.attribute, name, ", ".join(loudest)])
    write_text(path, text.getvalue())
