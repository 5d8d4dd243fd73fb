"""Rows whose words and labels say something of one another."""

from typing import NamedTuple

import numpy as np
import pytest

from visual_taxonomy.taxonomy import Taxonomy


class Rows(NamedTuple):
    """Rows of the taxonomy of the tests, with titles and brands."""

    taxonomy: Taxonomy
    texts: np.ndarray
    categories: np.ndarray
    targets: np.ndarray


@pytest.fixture(scope="session")
def rows(taxonomy: Taxonomy) -> Rows:
    """300 rows; a title names the color four times in five, and a third has no title."""
    random = np.random.default_rng(1)
    categories = np.arange(300) % 2
    targets = np.full((300, taxonomy.num_slots), -1)
    texts = np.full((300, 2), "", dtype=object)
    for row, category in enumerate(categories.tolist()):
        names = []
        for slot, task in enumerate(taxonomy.slots[category]):
            classes = taxonomy.tasks[task].classes
            # The same number in each slot, as far as it goes: labels say something of one another.
            number = row // 2 % 3 if random.random() < 0.7 else random.integers(3)
            label = int(number % len(classes))
            targets[row, slot] = label if random.random() < 0.8 else -1
            names.append(classes[label] if random.random() < 0.8 else "fine")
        if row % 3:
            texts[row] = [f"Lovely {' '.join(names)} no. {row}", ("Acme", "Zeta")[row % 2]]
    return Rows(taxonomy, texts, categories, targets)
