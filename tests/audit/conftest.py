import numpy as np
import pytest

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {
        "Sarees": {"border": ["zari", "none", "woven"], "color": ["red", "blue"]},
        "Kurtis": {"color": ["red", "green"]},
    }
)


@pytest.fixture
def held_out():
    """Build held-out rows from (category, group, {slot: (label, probabilities)}) each."""

    def build(*rows, counts=None):
        probabilities = np.zeros((len(rows), 2, 3), dtype=np.float32)
        targets = np.full((len(rows), 2), -1, dtype=np.int64)
        for number, (_, _, slots) in enumerate(rows):
            for slot, (label, of_classes) in slots.items():
                targets[number, slot] = label
                probabilities[number, slot, : len(of_classes)] = of_classes
        categories = np.array([category for category, _, _ in rows], dtype=np.int64)
        groups = np.array([group for _, group, _ in rows], dtype=np.int64)
        ids = np.array([f"p{number}" for number in range(len(rows))])
        counts = counts or {task.name: [1] * len(task.classes) for task in TAXONOMY.tasks}
        return HeldOut(TAXONOMY, counts, ids, categories, groups, probabilities, targets)

    return build
